"""What a client may send, decoded. Every event comes out as a `TrackEvent` or as a `Rejection` that names the field.

A well-formed body is decoded by msgspec in one pass. Only when that fails is it read again member by member: to find
which event is wrong and why, and to let its good neighbours in.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

import msgspec

from ingest_api.errors import InputInvalid

MAX_EVENTS = 10_000
MAX_NAME_CHARACTERS = 200
MAX_TYPE_CHARACTERS = 64
MAX_ID_CHARACTERS = 200
MAX_OBJECT_BYTES = 65_536
"""Longest `properties` and longest `context` of one event, as UTF-8 JSON."""

REJECTION_CODES = {
    "not_an_object": "The event, its properties or its context is not a JSON object.",
    "field_missing": "A required field is absent, null or blank.",
    "wrong_type": "The field has another JSON type than documented.",
    "too_long": "The text has more characters than documented.",
    "too_large": "The object has more bytes than documented.",
    "identity_missing": "Neither userId nor anonymousId says whose event this is.",
    "timestamp_invalid": "The timestamp is neither ISO 8601 nor milliseconds since 1970.",
    "timestamp_out_of_range": "The timestamp is outside of 1900 to 2299, or a number that looks like seconds.",
}
"""Every reason for which one event is refused."""

UNKNOWN_FIELD = "unknown_field"
UNKNOWN_FIELDS_MEMBER = "unknownFields"
"""Member of `context` under which fields that this version does not know are kept."""

_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)]
_Type: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_TYPE_CHARACTERS)]
_Id: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARACTERS)]
_ABSENT = msgspec.Raw(b"null")


class TrackEvent(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, gc=False):
    """One event as the client wrote it. Objects stay JSON text, so that what is stored is what was sent."""

    event_name: _Name
    user_id: _Id | None = None
    anonymous_id: _Id | None = None
    session_id: _Id | None = None
    event_id: _Id | None = None
    event_type: _Type | None = None
    timestamp: str | int | float | None = None
    properties: msgspec.Raw = _ABSENT
    context: msgspec.Raw = _ABSENT


class _Batch(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    events: list[TrackEvent]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one event was refused. `code` is one of `REJECTION_CODES`; `field` is empty for the event as a whole."""

    code: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Payload:
    """The events of one request in order, and which members were not understood."""

    events: list[TrackEvent | Rejection]
    unknown_fields: dict[int, list[str]] = field(default_factory=dict)
    """Names of kept but unknown fields, by the event's index."""
    ignored_members: list[str] = field(default_factory=list)
    """Members beside `events` in the body of a batch."""


_event = msgspec.json.Decoder(TrackEvent)
_batch = msgspec.json.Decoder(_Batch)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])

# A first half of a surrogate pair without a second, or a second without a first: what is left of a character that
# the client cut in two. Nothing after this service reads such text.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def decode_event(body: bytes) -> Payload:
    """Read the body of `POST /api/analytics/track`: one event.

    Raises:
        InputInvalid: the body is not JSON in UTF-8.
    """
    _check_encoding(body)
    try:
        return Payload([_event.decode(body)])
    except (msgspec.MsgspecError, RecursionError):
        event, unknown = _read_event(_well_formed(body))
        return Payload([event], {0: unknown} if unknown else {})


def decode_batch(body: bytes) -> Payload:
    """Read the body of `POST /api/analytics/track/batch`: `{"events": [...]}`.

    Raises:
        InputInvalid: the body is not JSON in UTF-8, or does not hold 1 to `MAX_EVENTS` events.
    """
    _check_encoding(body)
    try:
        events: list[TrackEvent | Rejection] = [*_batch.decode(body).events]
        unknown: dict[int, list[str]] = {}
        ignored: list[str] = []
    except (msgspec.MsgspecError, RecursionError):
        events, unknown, ignored = _read_batch(_well_formed(body))
    if not 1 <= len(events) <= MAX_EVENTS:
        raise InputInvalid(
            f"A batch holds 1 to {MAX_EVENTS:,} events, not {len(events):,}.",
            code="events_too_many" if events else "events_missing",
        )
    return Payload(events, unknown, ignored)


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
    except RecursionError as error:
        raise InputInvalid("The body is nested too deeply.", code="json_invalid") from error
    except msgspec.MsgspecError as error:
        raise InputInvalid(f"The body is not JSON: {error}.", code="json_invalid") from error
    return body


def _read_batch(body: bytes) -> tuple[list[TrackEvent | Rejection], dict[int, list[str]], list[str]]:
    try:
        members = _members.decode(body)
        items = _items.decode(members.pop("events"))
    except (msgspec.ValidationError, KeyError) as error:
        raise InputInvalid('The body must be {"events": [...]}.', code="events_missing") from error
    if len(items) > MAX_EVENTS:
        raise InputInvalid(f"A batch holds 1 to {MAX_EVENTS:,} events, not {len(items):,}.", code="events_too_many")
    events: list[TrackEvent | Rejection] = []
    unknown_fields: dict[int, list[str]] = {}
    for index, item in enumerate(items):
        event, unknown = _read_event(bytes(item))
        events.append(event)
        if unknown:
            unknown_fields[index] = unknown
    return events, unknown_fields, list(members)


def _read_event(text: bytes) -> tuple[TrackEvent | Rejection, list[str]]:
    """One event and the names of its unknown fields."""
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
        raw = members.pop(one.wire_name, _ABSENT)
        value = raw if one.is_object else one.read(raw)
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
    is_object: bool = False

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
    _Field("properties", "properties", is_object=True),
    _Field("context", "context", is_object=True),
)
