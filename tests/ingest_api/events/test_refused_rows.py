import json
from datetime import UTC, datetime

import pytest

from ingest_api.events.refused_rows import refused_event
from tests.ingest_api.events.events_given import NOW, lines_of

WRITTEN_AT = datetime(2026, 2, 1, tzinfo=UTC)


def test_refused_event_has_the_event_in_the_form_in_which_clients_send_it() -> None:
    line = (
        b'{"event_id":"e","event_name":"purchase","event_type":"transaction","user_id":"u","anonymous_id":"",'
        b'"session_id":"s","occurred_at":"never","received_at":"2026-01-31T08:30:00Z",'
        b'"properties":"{\\"revenue\\": 1.50}","context":"{}","source":"ios","is_bot":true}\n'
    )

    rejected = refused_event(line, "Cannot parse occurred_at", WRITTEN_AT, "token")

    assert (rejected.event_id, rejected.event_name, rejected.source) == ("e", "purchase", "ios")
    assert (rejected.code, rejected.rejected_by) == ("refused_by_warehouse", "warehouse")
    assert (rejected.message, rejected.is_complete, rejected.received_at) == ("Cannot parse occurred_at", True, NOW)
    assert rejected.payload == (
        '{"eventId":"e","eventName":"purchase","eventType":"transaction","userId":"u","sessionId":"s",'
        '"timestamp":"never","properties":{"revenue": 1.50},"context":{}}'
    )


def test_refused_event_keeps_a_line_that_cannot_be_read_as_it_is() -> None:
    rejected = refused_event(b'{"event_id":"\xff\n', "Cannot parse", WRITTEN_AT, "token")

    assert rejected.payload == '{"event_id":"\ufffd'
    assert rejected.event_id == rejected.rejection_id
    assert rejected.received_at == WRITTEN_AT


def test_refused_event_keeps_text_that_is_no_json_as_text() -> None:
    rejected = refused_event(b'{"event_id":"e","properties":"{broken"}\n', "Cannot parse", WRITTEN_AT, "token")

    assert json.loads(rejected.payload)["properties"] == "{broken"


def test_refused_event_has_the_same_id_again_for_the_same_row_under_the_same_token_only() -> None:
    [one, other] = lines_of(["one", "other"])
    cases = [(one, "a", "token"), (one, "b", "token"), (other, "a", "token"), (one, "a", "token of its replay")]

    ids = [refused_event(line, message, WRITTEN_AT, token).rejection_id for line, message, token in cases]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("received_at", ["", "yesterday", "2026-01-31T08:30:00", "0001-01-01T00:00:00Z"])
def test_refused_event_is_dated_by_its_entry_when_it_has_no_time_of_its_own(received_at: str) -> None:
    line = json.dumps({"event_id": "e", "received_at": received_at}).encode()

    assert refused_event(line, "", WRITTEN_AT, "token").received_at == WRITTEN_AT


def test_refused_event_that_is_too_large_is_cut_and_says_so() -> None:
    rejected = refused_event(b"x" * 300_000, "m" * 5000, WRITTEN_AT, "token")

    assert (len(rejected.payload), rejected.is_complete, len(rejected.message)) == (256 * 1024, False, 1000)
