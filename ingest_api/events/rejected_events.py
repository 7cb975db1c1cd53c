"""Rows of `raw.rejected_events` for what the track routes do not accept."""

from datetime import datetime

import msgspec

from ingest_api.events.enrichment.addresses import Keeping, without_full_addresses
from ingest_api.events.enrichment.redaction import without_secrets
from ingest_api.events.normalise import uuid7
from ingest_api.events.payload import MAX_EVENT_BYTES, MAX_ID_CHARACTERS, MAX_NAME_CHARACTERS, Rejection
from warehouse.raw_events import RejectedEvent

REJECTED_BY_API = "api"


class _Readable(msgspec.Struct, rename="camel", gc=False):
    """What is looked for in an event that is wrong in any way."""

    event_id: msgspec.Raw = msgspec.Raw(b"null")
    event_name: msgspec.Raw = msgspec.Raw(b"null")


_readable = msgspec.json.Decoder(_Readable)
_text = msgspec.json.Decoder(str)


def rejected_event(
    rejection: Rejection, text: bytes, source: str, received_at: datetime, keeping: Keeping
) -> RejectedEvent:
    """The row that keeps an event which was not accepted.

    Args:
        rejection: why.
        text: the event as it was sent, JSON in UTF-8; cut at `MAX_EVENT_BYTES`.
        source: what the credential names.
        received_at: aware UTC in whole milliseconds.
        keeping: what is kept of addresses in it.
    """
    try:
        read = _readable.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        read = _Readable()
    event_id = _read(read.event_id)
    kept = without_full_addresses(without_secrets(text[:MAX_EVENT_BYTES]), keeping)
    return RejectedEvent(
        uuid7(received_at),
        event_id if 0 < len(event_id) <= MAX_ID_CHARACTERS else uuid7(received_at),
        _read(read.event_name)[:MAX_NAME_CHARACTERS],
        rejection.code,
        rejection.field,
        rejection.message,
        # A cut may go through a character.
        kept.decode(errors="ignore"),
        len(text) <= MAX_EVENT_BYTES,
        REJECTED_BY_API,
        source,
        received_at,
    )


def _read(raw: msgspec.Raw) -> str:
    try:
        return _text.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return ""
