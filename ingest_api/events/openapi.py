"""What the OpenAPI document says about the track routes; their schemas come from the structs that decode and encode."""

from typing import Any

import msgspec

from ingest_api.errors import PROBLEM_MEDIA_TYPE
from ingest_api.events.answers import Accepted, BatchVerdict
from ingest_api.events.bodies import MAX_BODY_BYTES, MAX_DECODED_BYTES
from ingest_api.events.hot_routes import BATCH_PATH, TRACK_PATH
from ingest_api.events.normalise import DEFAULT_EVENT_TYPE, EVENT_TYPES
from ingest_api.events.payload import (
    MAX_DEPTH,
    MAX_EVENTS,
    MAX_OBJECT_BYTES,
    REJECTION_CODES,
    UNKNOWN_FIELDS_MEMBER,
    TrackEvent,
)
from ingest_api.events.warnings import WARNING_CODES
from ingest_api.openapi import without_references

TRACK_EXAMPLE = {
    "eventName": "page_view",
    "properties": {"page": "/home", "title": "Homepage"},
    "userId": "user123",
    "sessionId": "session456",
}
BATCH_EXAMPLE = {
    "events": [
        {"eventName": "page_view", "properties": {"page": "/home"}, "userId": "user123"},
        {"eventName": "button_click", "properties": {"button": "signup"}, "userId": "user123"},
    ]
}

_KNOWN_TYPES = ", ".join(sorted({DEFAULT_EVENT_TYPE, *EVENT_TYPES.values()}))
_FIELDS = {
    "eventName": "What happened, for example `page_view` or `purchase`. Surrounding space is cut.",
    "userId": "The known user. This or `anonymousId` is required.",
    "anonymousId": "The device or browser, for events before a user is known.",
    "sessionId": "The client's own session. Without it sessions are cut at 30 minutes of silence.",
    "eventId": "Makes resending safe: events with one id count once. Made by the server (UUID version 7) when absent.",
    "eventType": f"Family of the event ({_KNOWN_TYPES}, or your own). Derived from the name when absent.",
    "timestamp": "When it happened: ISO 8601 (no zone means UTC) or milliseconds since 1970. Default: time of arrival.",
    "sentAt": "When it is sent by the same clock as `timestamp`, in the same forms. A clock that is off by more than a "
    "minute is corrected by it. One that cannot be read is ignored.",
    "properties": f"JSON object of at most {MAX_OBJECT_BYTES} bytes and {MAX_DEPTH} levels; kept as it was sent, but "
    "for secrets in addresses of pages.",
    "context": f"JSON object of at most {MAX_OBJECT_BYTES} bytes and {MAX_DEPTH} levels about the surroundings. A "
    "server that sends for a browser names it in `userAgent` and `ip`.",
}
_LIMITS = (
    f"The body has at most {MAX_BODY_BYTES // 1024 // 1024} MiB, and {MAX_DECODED_BYTES // 1024 // 1024} MiB when "
    "decompressed (gzip or zstd, which are recognised with and without `Content-Encoding`, or deflate). It is read as "
    "JSON whatever `Content-Type` says, so a page may post it as `text/plain`, with `fetch` or `sendBeacon`, from any "
    "origin. "
    f"Fields that are not listed are kept in `context.{UNKNOWN_FIELDS_MEMBER}` and named in `warnings`. "
    "Half a surrogate pair (a character that was cut in two) is stored as U+FFFD. "
    "After a 503, or when no answer came, send the same body again: with `eventId` nothing counts twice."
)


def _listed(codes: dict[str, str]) -> str:
    return "\n".join(f"* `{code}`: {meaning}" for code, meaning in codes.items())


_VERDICTS = (
    "A valid event is stored. An invalid one is kept in the quarantine under the `rejectionId` of the answer, from "
    "where it can be taken in after all. An answer means that both are on disk.\n\n"
    f"Codes of rejection:\n\n{_listed(REJECTION_CODES)}\n\n"
    f"Codes of `warnings`, about events that are stored:\n\n{_listed(WARNING_CODES)}"
)
_ERRORS = {
    "400": "`json_invalid`, `encoding_invalid`, `compression_invalid`, `events_missing`, `events_too_many`: the body "
    "cannot be read, and nothing of it is kept. Any other code: no event is valid; `errors` names event, field and "
    "`rejectionId`",
    "401": "No valid write key or token",
    "403": "The token may not send events",
    "405": "Only POST is allowed",
    "413": "`body_too_large`: nothing of it is kept",
    "415": "A form with parts, or an unknown `Content-Encoding`",
    "503": "`stream_unavailable`, `stream_full`, `access_unverifiable`: nothing of it is known to be stored; send it "
    "again after `Retry-After` seconds",
}


_SENT_AT: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]}


def openapi_paths() -> dict[str, Any]:
    """Path items of the two routes; they refer to `#/components/schemas/Problem` and to two security schemes."""
    event = _event_schema()
    batch = {
        "type": "object",
        "required": ["events"],
        "properties": {
            "events": {"type": "array", "items": event, "minItems": 1, "maxItems": MAX_EVENTS},
            "sentAt": _SENT_AT | {"description": "`sentAt` of every event that has none of its own."},
        },
    }
    one = _operation(
        "trackEvent",
        "Store one event",
        _VERDICTS,
        (event, TRACK_EXAMPLE),
        _schema(Accepted),
    )
    many = _operation(
        "trackBatch",
        "Store up to 10,000 events",
        f"Each event gets a verdict; valid ones are stored although others are not. {_VERDICTS}",
        (batch, BATCH_EXAMPLE),
        _schema(BatchVerdict),
    )
    return {TRACK_PATH: {"post": one}, BATCH_PATH: {"post": many}}


def _operation(
    name: str, summary: str, description: str, request: tuple[dict[str, Any], dict[str, Any]], answer: dict[str, Any]
) -> dict[str, Any]:
    schema, example = request
    problem = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "tags": ["events"],
        "operationId": name,
        "summary": summary,
        "description": f"{description}\n\n{_LIMITS}",
        "security": [{"writeKey": []}, {"token": []}],
        "requestBody": {
            "required": True,
            "content": {
                media_type: {"schema": schema, "example": example} for media_type in ("application/json", "text/plain")
            },
        },
        "responses": {
            "202": {"description": "Stored", "content": {"application/json": {"schema": answer}}},
            **{status: {"description": meaning, "content": problem} for status, meaning in _ERRORS.items()},
        },
    }


def _event_schema() -> dict[str, Any]:
    # TrackEvent keeps objects and `sentAt` undecoded, which a schema cannot say.
    fields = [
        (one.name, dict[str, Any] | None if one.type is msgspec.Raw else one.type, None)
        if not one.required
        else (one.name, one.type)
        for one in msgspec.structs.fields(TrackEvent)
    ]
    schema = _schema(msgspec.defstruct("Event", fields, rename="camel"))
    for name, described in schema["properties"].items():
        if name == "sentAt":
            described.update(_SENT_AT)
        described["description"] = _FIELDS[name]
    return schema


def _schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON Schema of a struct without references and titles."""
    [schema], components = msgspec.json.schema_components([kind], ref_template="{name}")
    inlined: dict[str, Any] = _untitled(without_references(schema, components))
    return inlined


def _untitled(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _untitled(one) for name, one in schema.items() if name != "title"}
    return [_untitled(one) for one in schema] if isinstance(schema, list) else schema
