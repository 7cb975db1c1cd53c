import json
import uuid

import pytest

from ingest_api.events.payload import MAX_EVENT_BYTES, Rejection
from ingest_api.events.rejected_events import rejected_event
from tests.ingest_api.events.events_given import NOW
from warehouse.raw_events import RejectedEvent

_REJECTION = Rejection("wrong_type", "userId", "userId must be a string.")


def _row(text: bytes) -> RejectedEvent:
    return rejected_event(_REJECTION, text, "ios", NOW, "truncate")


def test_rejected_event_keeps_what_was_sent_and_why_it_was_not_taken() -> None:
    text = b'{ "eventName":"a", "eventId":"e1", "userId":5 }'

    row = _row(text)

    assert uuid.UUID(row.rejection_id).version == 7
    assert row == RejectedEvent(
        row.rejection_id,
        "e1",
        "a",
        "wrong_type",
        "userId",
        "userId must be a string.",
        text.decode(),
        True,
        "api",
        "ios",
        NOW,
    )


@pytest.mark.parametrize(
    "text",
    [
        b"3",
        b"null",
        b'"e1"',
        b'["e1"]',
        b'{"eventId":5,"eventName":{}}',
        b'{"eventId":""}',
        b'{"eventId":"' + b"x" * 201 + b'"}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_rejected_event_is_given_an_id_when_it_has_none_that_can_be_used(text: bytes) -> None:
    row = _row(text)

    assert uuid.UUID(row.event_id).version == 7
    assert (row.event_name, row.payload) == ("", text.decode())


def test_rejected_event_is_cut_between_characters_when_it_is_too_large() -> None:
    text = b'{"eventId":"e1","a":"' + "\u00fc".encode() * MAX_EVENT_BYTES + b'"}'

    row = _row(text)

    assert (row.is_complete, row.event_id) == (False, "e1")
    assert MAX_EVENT_BYTES - 1 <= len(row.payload.encode()) <= MAX_EVENT_BYTES


def test_rejected_event_is_kept_without_secrets_and_full_addresses() -> None:
    row = _row(b'{"properties":{"url":"/?token=x"},"context":{"ip":"203.0.113.7"}}')

    assert json.loads(row.payload) == {"properties": {"url": "/?token=REDACTED"}, "context": {"ip": "203.0.113.0"}}
