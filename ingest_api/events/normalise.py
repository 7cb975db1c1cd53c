"""From what a client sent to a row of `raw.events`. Pure but for the random part of ids."""

import random
from datetime import UTC, datetime, timedelta

import msgspec

from ingest_api.events.payload import MAX_OBJECT_BYTES, Rejection, TrackEvent
from warehouse.raw_events import RawEvent

# What DateTime64(3) holds.
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2299, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VARIANT = 0b10 << 62
_NOT_VARIANT = ~(0b11 << 62)
# As milliseconds this is March 1973, as seconds the year 5138: a smaller number was meant as seconds.
_SMALLEST_EPOCH_MS = 100_000_000_000

EVENT_TYPES = {
    "page_view": "page_view",
    "pageview": "page_view",
    "page_viewed": "page_view",
    "screen_view": "page_view",
    "purchase": "transaction",
    "order_completed": "transaction",
    "sale": "transaction",
    "refund": "transaction",
    "order_refunded": "transaction",
    "payment": "transaction",
    "subscription_started": "transaction",
    "subscription_renewed": "transaction",
    "subscription_cancelled": "transaction",
    "experiment_exposure": "experiment",
    "identify": "identity",
    "alias": "identity",
}
"""Type of an event whose client names none, by event name; every other name is a `user_action`."""
DEFAULT_EVENT_TYPE = "user_action"


def normalise(event: TrackEvent, source: str, received_at: datetime) -> RawEvent | Rejection:
    """Fill in what the client left out and check what its JSON types cannot say.

    `received_at` is aware UTC in whole milliseconds; it also dates an event without a timestamp.
    """
    if not (name := event.event_name.strip()):
        return Rejection("field_missing", "eventName", "eventName is required.")
    if not event.user_id and not event.anonymous_id:
        return Rejection("identity_missing", "userId", "userId or anonymousId is required.")
    properties = _object_text(event.properties, "properties")
    if isinstance(properties, Rejection):
        return properties
    context = _object_text(event.context, "context")
    if isinstance(context, Rejection):
        return context
    occurred_at = received_at if event.timestamp is None else parse_timestamp(event.timestamp)
    if isinstance(occurred_at, Rejection):
        return occurred_at
    return RawEvent(
        event.event_id or uuid7(received_at),
        name,
        event.event_type or EVENT_TYPES.get(name.lower(), DEFAULT_EVENT_TYPE),
        event.user_id or "",
        event.anonymous_id or "",
        event.session_id or "",
        occurred_at,
        received_at,
        properties,
        context,
        source,
    )


def parse_timestamp(value: str | int | float) -> datetime | Rejection:
    """Read ISO 8601 (no zone means UTC; a trailing ` UTC` is read too) or milliseconds since 1970.

    The answer is aware UTC, cut to milliseconds.
    """
    if not isinstance(value, str) and value < _SMALLEST_EPOCH_MS:
        return _out_of_range("timestamp as a number is in milliseconds; this one is before 1973. Was it in seconds?")
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.removesuffix(" UTC"))
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        else:
            moment = _EPOCH + timedelta(milliseconds=int(value))
    except ValueError:
        return Rejection(
            "timestamp_invalid", "timestamp", "timestamp is not ISO 8601, for example 2026-01-31T08:30:00Z."
        )
    except OverflowError:
        return _out_of_range("timestamp is not between the years 1900 and 2299.")
    if not _EARLIEST <= moment <= _LATEST:
        return _out_of_range("timestamp is not between the years 1900 and 2299.")
    return whole_milliseconds(moment)


def whole_milliseconds(moment: datetime) -> datetime:
    """`moment` cut to the milliseconds that the warehouse keeps."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def uuid7(moment: datetime) -> str:
    """Make an event id: a UUID of version 7 (RFC 9562), whose first 48 bits are the milliseconds of `moment`."""
    milliseconds = f"{(moment - _EPOCH) // _MILLISECOND:012x}"
    # Ids must be distinct, not secret. The two leading bits of the last 64 are the variant.
    tail = f"{random.getrandbits(76) & _NOT_VARIANT | _VARIANT:019x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7{tail[:3]}-{tail[3:7]}-{tail[7:]}"


def _object_text(raw: msgspec.Raw, field: str) -> str | Rejection:
    text = bytes(raw)
    if text == b"null":
        return "{}"
    if text[0] != ord("{"):
        return Rejection("not_an_object", field, f"{field} must be a JSON object.")
    if len(text) > MAX_OBJECT_BYTES:
        return Rejection("too_large", field, f"{field} has {len(text)} bytes, at most {MAX_OBJECT_BYTES} fit.")
    return text.decode()


def _out_of_range(message: str) -> Rejection:
    return Rejection("timestamp_out_of_range", "timestamp", message)
