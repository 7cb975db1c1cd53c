"""From what a client sent to a row of `raw.events`. Pure but for the random part of ids."""

import random
from datetime import UTC, datetime, timedelta

import msgspec

from ingest_api.events.enrichment.redaction import REDACTED, without_secrets
from ingest_api.events.enrichment.senders import UNKNOWN_SENDER, Sender
from ingest_api.events.intake import Intake
from ingest_api.events.json_shape import is_deeper_than
from ingest_api.events.payload import ABSENT, MAX_DEPTH, MAX_OBJECT_BYTES, Rejection, TrackEvent
from ingest_api.events.warnings import Notice
from warehouse.raw_events import RawEvent

# What DateTime64(3) holds.
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2299, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LARGEST_EPOCH_MS = (_LATEST - _EPOCH) // _MILLISECOND
_VARIANT = 0b10 << 62
_NOT_VARIANT = ~(0b11 << 62)
# As milliseconds this is March 1973, as seconds the year 5138: a smaller number was meant as seconds.
_SMALLEST_EPOCH_MS = 100_000_000_000
# A smaller difference is as likely the time on the way as a wrong clock.
_TOLERATED_SKEW = timedelta(seconds=60)
_MOST_AHEAD = timedelta(days=-1)
_MOST_BEHIND = timedelta(days=3653)
_NULL = b"null"
_NO_MEMBERS = b"{}"

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

_sent_at = msgspec.json.Decoder(str | int | float)


def normalise(
    event: TrackEvent,
    source: str,
    received_at: datetime,
    intake: Intake | None = None,
    sender: Sender = UNKNOWN_SENDER,
    sent_at: datetime | None = None,
    notices: list[Notice] | None = None,
) -> RawEvent | Rejection:
    """Fill in what the client left out, check what its JSON types cannot say, and take out what must not be stored.

    Args:
        event: as decoded.
        source: what the credential names.
        received_at: aware UTC in whole milliseconds; it also dates an event without a timestamp.
        intake: the tracking plan, and what reads senders that an event names itself; without it neither is looked at.
        sender: of the request.
        sent_at: when the request was sent by its client's clock, if it says so; an event's own `sentAt` wins.
        notices: what the client should look at is appended to it; the row keeps the codes of all that are in it.
    """
    notices = [] if notices is None else notices
    if not (name := event.event_name.strip()):
        return Rejection("field_missing", "eventName", "eventName is required.")
    if not event.user_id and not event.anonymous_id:
        return Rejection("identity_missing", "userId", "userId or anonymousId is required.")
    properties = context = _NO_MEMBERS
    if event.properties is not ABSENT:
        stored = _storable_object(event.properties, "properties", notices)
        if isinstance(stored, Rejection):
            return stored
        properties = stored
    if event.context is not ABSENT:
        stored = _storable_object(event.context, "context", notices)
        if isinstance(stored, Rejection):
            return stored
        context = stored
    occurred_at = received_at
    skew_ms = 0
    if event.timestamp is not None:
        moment = parse_timestamp(event.timestamp)
        if isinstance(moment, Rejection):
            return moment
        if event.sent_at is not ABSENT and (own := bytes(event.sent_at)) != _NULL:
            sent_at = read_sent_at(own, notices)
        occurred_at, skew_ms = (moment, 0) if sent_at is None else _corrected(moment, received_at - sent_at, notices)
        if not _MOST_AHEAD <= received_at - occurred_at <= _MOST_BEHIND:
            notices.append(_far_off(occurred_at, received_at))
    properties_text = properties.decode()
    if intake is not None:
        for violation in intake.plan.check(name, properties_text):
            if violation.refuses:
                return Rejection(violation.code, violation.field, violation.message)
            notices.append(Notice(violation.code, violation.field, violation.message))
        if context is not _NO_MEMBERS:
            sender, context = intake.senders.of_event(context, sender)
    return RawEvent(
        event.event_id or uuid7(received_at),
        name,
        event.event_type or EVENT_TYPES.get(name.lower(), DEFAULT_EVENT_TYPE),
        event.user_id or "",
        event.anonymous_id or "",
        event.session_id or "",
        occurred_at,
        received_at,
        properties_text,
        context.decode(),
        source,
        skew_ms,
        tuple(dict.fromkeys([notice.code for notice in notices])) if notices else (),
        *sender,
    )


def parse_timestamp(value: str | int | float) -> datetime | Rejection:
    """Read ISO 8601 (no zone means UTC; a trailing ` UTC` is read too) or milliseconds since 1970.

    The answer is aware UTC, cut to milliseconds.
    """
    if not isinstance(value, str):
        if value < _SMALLEST_EPOCH_MS:
            return _out_of_range("timestamp as a number is milliseconds; this one is before 1973. Was it in seconds?")
        if value >= _LARGEST_EPOCH_MS + 1:
            return _out_of_range("timestamp is not between the years 1900 and 2299.")
        return _EPOCH + int(value) * _MILLISECOND
    try:
        moment = datetime.fromisoformat(value.removesuffix(" UTC"))
        if moment.tzinfo is not UTC:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except ValueError:
        return Rejection(
            "timestamp_invalid", "timestamp", "timestamp is not ISO 8601, for example 2026-01-31T08:30:00Z."
        )
    except OverflowError:
        return _out_of_range("timestamp is not between the years 1900 and 2299.")
    if not _EARLIEST <= moment <= _LATEST:
        return _out_of_range("timestamp is not between the years 1900 and 2299.")
    return _whole_milliseconds(moment)


def read_sent_at(text: bytes, notices: list[Notice]) -> datetime | None:
    """The moment that a `sentAt` names, JSON in a form of timestamp; nothing, and a notice, for another value."""
    try:
        moment = parse_timestamp(_sent_at.decode(text))
    except (msgspec.MsgspecError, RecursionError):
        moment = None
    if isinstance(moment, datetime):
        return moment
    notices.append(Notice("member_ignored", "sentAt", "sentAt was ignored: it is not a time in a form of timestamp."))
    return None


def _whole_milliseconds(moment: datetime) -> datetime:
    """`moment` cut to the milliseconds that the warehouse keeps."""
    rest = moment.microsecond % 1000
    return moment - timedelta(microseconds=rest) if rest else moment


def uuid7(moment: datetime) -> str:
    """Make an event id: a UUID of version 7 (RFC 9562), whose first 48 bits are the milliseconds of `moment`."""
    milliseconds = f"{(moment - _EPOCH) // _MILLISECOND:012x}"
    # Ids must be distinct, not secret. The two leading bits of the last 64 are the variant.
    tail = f"{random.getrandbits(76) & _NOT_VARIANT | _VARIANT:019x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7{tail[:3]}-{tail[3:7]}-{tail[7:]}"


def _storable_object(raw: msgspec.Raw, field: str, notices: list[Notice]) -> bytes | Rejection:
    text = bytes(raw)
    if text == _NULL:
        return _NO_MEMBERS
    if text[0] != ord("{"):
        return Rejection("not_an_object", field, f"{field} must be a JSON object.")
    size = len(text)
    if size > MAX_OBJECT_BYTES:
        return Rejection("too_large", field, f"{field} has {size} bytes, at most {MAX_OBJECT_BYTES} fit.")
    if is_deeper_than(MAX_DEPTH, text):
        return Rejection("too_deep", field, f"{field} has more than {MAX_DEPTH} objects and arrays within each other.")
    stored = without_secrets(text)
    if stored != text:
        notices.append(Notice("secret_removed", field, f"A secret in {field} was replaced by {REDACTED}."))
    return stored


def _corrected(moment: datetime, skew: timedelta, notices: list[Notice]) -> tuple[datetime, int]:
    """A client's time by the server's clock, and the milliseconds that were added. `skew`: client clock behind."""
    if abs(skew) <= _TOLERATED_SKEW or not _EARLIEST <= moment + skew <= _LATEST:
        return moment, 0
    notices.append(
        Notice(
            "clock_skew_corrected",
            "timestamp",
            f"timestamp was moved by {skew.total_seconds():+.3f} s, as sentAt is off.",
        )
    )
    return moment + skew, skew // _MILLISECOND


def _far_off(occurred_at: datetime, received_at: datetime) -> Notice:
    if occurred_at > received_at:
        return Notice("occurred_in_future", "timestamp", "timestamp is more than a day in the future.")
    return Notice("occurred_long_ago", "timestamp", "timestamp is more than ten years ago.")


def _out_of_range(message: str) -> Rejection:
    return Rejection("timestamp_out_of_range", "timestamp", message)
