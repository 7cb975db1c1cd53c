"""What a client may send, decoded. Every event comes out as a `TrackEvent` or as a `Rejection` that names the field.

A well-formed body is decoded by msgspec in one pass. Only when that fails is it read again member by member: to find
which event is wrong and why, and to let its good neighbours in.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec

from ingest_api.errors import InputInvalid
from ingest_api.events.json_shape import has_more_items_than
from ingest_api.tracking_plan.checking import PLAN_CODES

MAX_EVENTS = 10_000
MAX_NAME_CHARACTERS = 200
MAX_TYPE_CHARACTERS = 64
MAX_ID_CHARACTERS = 200
MAX_OBJECT_BYTES = 65_536
"""Longest `properties` and longest `context` of one event, as UTF-8 JSON. A member takes five bytes (`"":0,`), so an
object has at most 13,107."""
MAX_EVENT_BYTES = 262_144
"""Longest event: above what its fields can need. It bounds what is decoded of a wrong one, and what is kept of it."""
MAX_DEPTH = 128
"""Most objects and arrays within each other in `properties` or `context`; readers of the stored text have a stack."""

REJECTION_CODES = {
    "not_an_object": "The event, its properties or its context is not a JSON object.",
    "field_missing": "A required field is absent, null or blank.",
    "wrong_type": "The field has another JSON type than documented.",
    "too_long": "The text has more characters than documented.",
    "too_large": "The event or one of its objects has more bytes than documented.",
    "too_deep": "The object has more objects and arrays within each other than documented.",
    "identity_missing": "Neither userId nor anonymousId says whose event this is.",
    "timestamp_invalid": "The timestamp is neither ISO 8601 nor milliseconds since 1970.",
    "timestamp_out_of_range": "The timestamp is outside of 1900 to 2299, or a number that looks like seconds.",
    **PLAN_CODES,
    "refused_by_warehouse": "ClickHouse did not take the row, although the API had accepted the event.",
}
"""Every reason for which one event is refused. Those of the tracking plan are warnings where it does not `enforce`."""

UNKNOWN_FIELDS_MEMBER = "unknownFields"
"""Member of `context` under which fields that this version does not know are kept."""

_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)]
_Type: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_TYPE_CHARACTERS)]
_Id: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARACTERS)]
ABSENT = msgspec.Raw(b"null")
"""A member that was not sent."""


class TrackEvent(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, gc=False):
    """One event as the client wrote it. Objects stay JSON text, so that what is stored is what was sent."""

    event_name: _Name
    user_id: _Id | None = None
    anonymous_id: _Id | None = None
    session_id: _Id | None = None
    event_id: _Id | None = None
    event_type: _Type | None = None
    timestamp: str | int | float | None = None
    sent_at: msgspec.Raw = ABSENT
    """Whatever is wrong with it must not cost the event."""
    properties: msgspec.Raw = ABSENT
    context: msgspec.Raw = ABSENT


class _Batch(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    events: list[TrackEvent]
    sent_at: msgspec.Raw = ABSENT


class _LooseBatch(msgspec.Struct, rename="camel", gc=False):
    """A batch of which nothing is known but that it has events; other members are skipped, not decoded."""

    events: msgspec.Raw
    sent_at: msgspec.Raw = ABSENT


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one event was refused. `code` is one of `REJECTION_CODES`; `field` is empty for the event as a whole."""

    code: str
    field: str
    message: str


class Single(msgspec.Struct, frozen=True, gc=False):
    """The event of a request that holds one."""

    event: TrackEvent | Rejection
    text: bytes
    """As it was sent."""
    unknown_fields: Sequence[str] = ()
    """Names of its kept but unknown fields."""


class Payload(msgspec.Struct, frozen=True):
    """The events of a batch in order, and which members were not understood."""

    events: list[TrackEvent | Rejection]
    unknown_fields: dict[int, list[str]] = {}
    """Names of kept but unknown fields, by the event's index."""
    ignored_members: list[str] = []
    """Members beside `events` in the body of a batch; one of empty name when they are too long to be listed."""
    sent_at: bytes = b"null"
    """When the batch was sent, as its sender says: JSON."""
    body: bytes = b""
    items: list[msgspec.Raw] | None = None

    def texts(self) -> list[msgspec.Raw]:
        """Each event as it was sent, in order. A body that was good at first sight is read again for it."""
        if self.items is not None:
            return self.items
        return _items.decode(_loose_batch.decode(self.body).events)


_event = msgspec.json.Decoder(TrackEvent)
_batch = msgspec.json.Decoder(_Batch)
_loose_batch = msgspec.json.Decoder(_LooseBatch)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])

# A body with fewer commas cannot hold so many values that their objects take more than some 50 MB.
_MANY_COMMAS = 500_000

# A first half of a surrogate pair without a second, or a second without a first: what is left of a character that
# the client cut in two. Nothing after this service reads such text.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def decode_event(body: bytes) -> Single:
    """Read the body of `POST /api/analytics/track`: one event.

    Raises:
        InputInvalid: the body is not JSON in UTF-8, or nested too deeply to be read.
    """
    _check_encoding(body)
    try:
        return _read_alone(body)
    except RecursionError as error:
        raise _too_deep() from error


def decode_batch(body: bytes) -> Payload:
    """Read the body of `POST /api/analytics/track/batch`: `{"events": [...]}`.

    Raises:
        InputInvalid: the body is not JSON in UTF-8, is nested too deeply to be read, or does not hold 1 to
            `MAX_EVENTS` events.
    """
    _check_encoding(body)
    if len(body) > _MANY_COMMAS and body.count(b",") > _MANY_COMMAS:
        _check_count(body)
    try:
        payload = _read_batch(body)
    except RecursionError as error:
        raise _too_deep() from error
    if not 1 <= len(payload.events) <= MAX_EVENTS:
        raise _wrong_count(len(payload.events))
    return payload


def _check_encoding(body: bytes) -> None:
    # msgspec.Raw takes bytes that are not UTF-8.
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InputInvalid(f"The body is not UTF-8 at byte {error.start}.", code="encoding_invalid") from error


def _well_formed(body: bytes) -> bytes:
    """The body as JSON that msgspec reads, with characters that were cut in two replaced by U+FFFD."""
    if b"\\ud" in body or b"\\uD" in body:
        body = _LONE_SURROGATE.sub(lambda match: match[1] + (match[2] or b"\\ufffd"), body)
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.MsgspecError as error:
        raise InputInvalid(f"The body is not JSON: {error}.", code="json_invalid") from error
    return body


def _read_alone(body: bytes) -> Single:
    try:
        return Single(_event.decode(body), body)
    except msgspec.MsgspecError:
        body = _well_formed(body)
        event, unknown = _read_event(body)
        return Single(event, body, unknown)


def _read_batch(body: bytes) -> Payload:
    try:
        batch = _batch.decode(body)
        return Payload([*batch.events], sent_at=bytes(batch.sent_at), body=body)
    except msgspec.MsgspecError:
        return _read_one_by_one(_well_formed(body))


def _read_one_by_one(body: bytes) -> Payload:
    try:
        batch = _loose_batch.decode(body)
        items = _items.decode(batch.events)
    except msgspec.ValidationError as error:
        raise InputInvalid('The body must be {"events": [...]}.', code="events_missing") from error
    if len(items) > MAX_EVENTS:
        raise _wrong_count(len(items))
    events: list[TrackEvent | Rejection] = []
    unknown_fields: dict[int, list[str]] = {}
    for index, item in enumerate(items):
        event, unknown = _read_event(bytes(item))
        events.append(event)
        if unknown:
            unknown_fields[index] = unknown
    return Payload(events, unknown_fields, _ignored_members(body, batch), bytes(batch.sent_at), body, items)


def _ignored_members(body: bytes, batch: _LooseBatch) -> list[str]:
    if len(body) - len(bytes(batch.events)) > MAX_OBJECT_BYTES:
        return [""]
    return [name for name in _members.decode(body) if name not in ("events", "sentAt")]


def _check_count(body: bytes) -> None:
    """Refuse too many events before an object is made of each: 20 MiB of `1,` would take a gigabyte."""
    try:
        events = bytes(_loose_batch.decode(body).events)
    except (msgspec.MsgspecError, RecursionError):
        return  # what is wrong with it is said when it is read
    if has_more_items_than(MAX_EVENTS, events):
        raise InputInvalid(f"A batch holds 1 to {MAX_EVENTS:,} events; this one holds more.", code="events_too_many")


def _wrong_count(count: int) -> InputInvalid:
    code = "events_too_many" if count else "events_missing"
    return InputInvalid(f"A batch holds 1 to {MAX_EVENTS:,} events, not {count:,}.", code=code)


def _too_deep() -> InputInvalid:
    return InputInvalid("The body is nested too deeply.", code="json_invalid")


def _read_event(text: bytes) -> tuple[TrackEvent | Rejection, list[str]]:
    """One event and the names of its unknown fields."""
    if len(text) > MAX_EVENT_BYTES:
        message = f"The event has {len(text)} bytes, at most {MAX_EVENT_BYTES} fit."
        return Rejection("too_large", "", message), []
    try:
        return _event.decode(text), []
    except msgspec.MsgspecError:
        return _read_members(text)


def _read_members(text: bytes) -> tuple[TrackEvent | Rejection, list[str]]:
    """One event that is wrong or has unknown fields."""
    try:
        members = _members.decode(text)
    except msgspec.ValidationError:
        return Rejection("not_an_object", "", "An event must be a JSON object."), []
    values: dict[str, Any] = {}
    for one in _FIELDS:
        raw = members.pop(one.wire_name, ABSENT)
        value = raw if one.is_kept else one.read(raw)
        if isinstance(value, Rejection):
            return value, []
        values[one.name] = value
    if members:
        values["context"] = _with_unknown_fields(values["context"], members)
    return TrackEvent(**values), list(members)


def _with_unknown_fields(context: msgspec.Raw, unknown: dict[str, msgspec.Raw]) -> msgspec.Raw:
    """`context` with the unknown fields kept in it; a context that is no object is left for `normalise` to refuse."""
    try:
        members = {} if bytes(context) == b"null" else _members.decode(context)
        kept = _members.decode(members.get(UNKNOWN_FIELDS_MEMBER, b"{}"))
    except msgspec.ValidationError:
        return context
    members[UNKNOWN_FIELDS_MEMBER] = msgspec.Raw(msgspec.json.encode(kept | unknown))
    return msgspec.Raw(msgspec.json.encode(members))


@dataclass(frozen=True, slots=True)
class _Field:
    """One member of an event and what it must be."""

    name: str
    wire_name: str
    max_characters: int = 0
    is_required: bool = False
    is_kept: bool = False
    """Whether it stays JSON text, to be read later."""

    def read(self, raw: msgspec.Raw) -> str | int | float | Rejection | None:
        """The member's value, or what is wrong with it."""
        try:
            if not self.max_characters:
                return msgspec.json.decode(raw, type=str | int | float | None)
            value = msgspec.json.decode(raw, type=str | None)
        except msgspec.ValidationError as error:
            if "out of range" in str(error):
                return Rejection("timestamp_out_of_range", self.wire_name, f"{self.wire_name} is out of range.")
            kind = "a string" if self.max_characters else "an ISO 8601 string or a number of milliseconds"
            return Rejection("wrong_type", self.wire_name, f"{self.wire_name} must be {kind}.")
        if self.is_required and not value:
            return Rejection("field_missing", self.wire_name, f"{self.wire_name} is required.")
        if value is not None and len(value) > self.max_characters:
            message = f"{self.wire_name} has {len(value)} characters, at most {self.max_characters} fit."
            return Rejection("too_long", self.wire_name, message)
        return value


_FIELDS = (
    _Field("event_name", "eventName", MAX_NAME_CHARACTERS, is_required=True),
    _Field("user_id", "userId", MAX_ID_CHARACTERS),
    _Field("anonymous_id", "anonymousId", MAX_ID_CHARACTERS),
    _Field("session_id", "sessionId", MAX_ID_CHARACTERS),
    _Field("event_id", "eventId", MAX_ID_CHARACTERS),
    _Field("event_type", "eventType", MAX_TYPE_CHARACTERS),
    _Field("timestamp", "timestamp"),
    _Field("sent_at", "sentAt", is_kept=True),
    _Field("properties", "properties", is_kept=True),
    _Field("context", "context", is_kept=True),
)
