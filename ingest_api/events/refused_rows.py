"""What becomes of a row that ClickHouse refuses for its data. Pure."""

import uuid
from datetime import datetime

import msgspec

from warehouse.raw_events import RejectedEvent

REFUSED_BY_WAREHOUSE = "refused_by_warehouse"
"""Code of such a rejection."""

_NAMESPACE = uuid.UUID("6f1c1f0e-6b0a-4f5e-9d57-0b2f7a3c9e41")
_MAX_MESSAGE_CHARACTERS = 1000
_MAX_PAYLOAD_CHARACTERS = 256 * 1024


class _Line(msgspec.Struct):
    """A row of `raw.events`, as far as a client's event can be made of it again."""

    event_id: str = ""
    event_name: str = ""
    event_type: str = ""
    user_id: str = ""
    anonymous_id: str = ""
    session_id: str = ""
    occurred_at: str = ""
    received_at: str = ""
    properties: str = "{}"
    context: str = "{}"
    source: str = ""


class _ClientEvent(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An event in the form in which clients send it."""

    event_id: str = ""
    event_name: str = ""
    event_type: str = ""
    user_id: str = ""
    anonymous_id: str = ""
    session_id: str = ""
    timestamp: str = ""
    properties: msgspec.Raw | str = ""
    context: msgspec.Raw | str = ""


_line_decoder = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


def refused_event(line: bytes, message: str, written_at: datetime, token: str) -> RejectedEvent:
    """The rejection of one row of `raw.events`; the same row under the same token always gives the same rejection.

    Args:
        line: the row as JSON, readable or not.
        message: what ClickHouse said.
        written_at: when it was appended to the stream, aware; stands for a time of receipt that cannot be read.
        token: what it was inserted under. A row that is replayed and refused again is a new rejection: the old one
            counts as replayed.
    """
    rejection_id = str(uuid.uuid5(_NAMESPACE, f"{token}/{line.hex()}"))
    text = line.decode(errors="replace").removesuffix("\n")
    try:
        row = _line_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        row = _Line()
    else:
        text = _encoder.encode(_client_event(row)).decode()
    return RejectedEvent(
        rejection_id=rejection_id,
        event_id=row.event_id or rejection_id,
        event_name=row.event_name,
        code=REFUSED_BY_WAREHOUSE,
        field="",
        message=message[:_MAX_MESSAGE_CHARACTERS],
        payload=text[:_MAX_PAYLOAD_CHARACTERS],
        is_complete=len(text) <= _MAX_PAYLOAD_CHARACTERS,
        rejected_by="warehouse",
        source=row.source,
        received_at=_moment(row.received_at) or written_at,
    )


def _client_event(row: _Line) -> _ClientEvent:
    return _ClientEvent(
        event_id=row.event_id,
        event_name=row.event_name,
        event_type=row.event_type,
        user_id=row.user_id,
        anonymous_id=row.anonymous_id,
        session_id=row.session_id,
        timestamp=row.occurred_at,
        properties=_object(row.properties),
        context=_object(row.context),
    )


def _moment(text: str) -> datetime | None:
    """A time as the API writes it, if it is one that the warehouse can hold."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and 1900 < moment.year < 2299 else None


def _object(text: str) -> msgspec.Raw | str:
    """JSON as it is; text that is none stays text, so that the event as a whole is JSON."""
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text
    return msgspec.Raw(text.encode())
