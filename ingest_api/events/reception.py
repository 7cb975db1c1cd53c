"""The events of one request on their way to the stream: each becomes a row, accepted or rejected."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from ingest_api.events.enrichment.senders import Sender
from ingest_api.events.entries import Rows
from ingest_api.events.intake import Intake
from ingest_api.events.normalise import normalise, read_sent_at
from ingest_api.events.payload import UNKNOWN_FIELDS_MEMBER, Payload, Rejection, Single, TrackEvent
from ingest_api.events.rejected_events import rejected_event
from ingest_api.events.warnings import Notice
from warehouse.raw_events import RawEvent, RejectedEvent

# After this time other requests get their turn.
_TURN_SECONDS = 0.005
_LOOK_EVERY = 16

_encoder = msgspec.json.Encoder()


class Received(msgspec.Struct, frozen=True):
    """What became of the events of one request."""

    outcomes: Sequence[RawEvent | RejectedEvent]
    """In the order of the request."""
    accepted: Sequence[RawEvent]
    rejected: Sequence[RejectedEvent]
    notices: Mapping[int, Sequence[Notice]]
    """What the sender should look at, by the index of an accepted event."""
    batch_notices: Sequence[Notice] = ()


def rows_of(accepted: Sequence[RawEvent], rejected: Sequence[RejectedEvent]) -> Rows:
    """What the stream is given."""
    return Rows(_encoder.encode_lines(accepted), len(accepted), _encoder.encode_lines(rejected) if rejected else b"")


def take_in_alone(
    single: Single, source: str, received_at: datetime, intake: Intake, sender: Sender
) -> tuple[RawEvent | RejectedEvent, list[Notice]]:
    """Judge and complete a single event, and say what its sender should look at; see `take_in`."""
    notices = [unknown_field(name) for name in single.unknown_fields]
    outcome: RawEvent | TrackEvent | Rejection = single.event
    if isinstance(outcome, TrackEvent):
        outcome = normalise(outcome, source, received_at, intake, sender, None, notices)
    if isinstance(outcome, RawEvent):
        return outcome, notices
    return rejected_event(outcome, single.text, source, received_at, intake.senders.keeping), notices


async def take_in(payload: Payload, source: str, intake: Intake, sender: Sender) -> Received:
    """Judge and complete each event of a batch.

    Args:
        payload: of the request, just decoded.
        source: what the credential names.
        intake: of this process.
        sender: of the request.
    """
    received_at = arrival_time()
    batch_notices = [_ignored(name) for name in payload.ignored_members]
    sent_at = None if payload.sent_at == b"null" else read_sent_at(payload.sent_at, batch_notices)
    outcomes: list[RawEvent | RejectedEvent] = []
    accepted: list[RawEvent] = []
    rejected: list[RejectedEvent] = []
    unknown_fields = payload.unknown_fields
    notices_by_index: dict[int, Sequence[Notice]] = {}
    texts: Sequence[msgspec.Raw] = ()
    turn_ends = time.monotonic() + _TURN_SECONDS
    for index, event in enumerate(payload.events):
        if index % _LOOK_EVERY == 0 and index and time.monotonic() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = time.monotonic() + _TURN_SECONDS
        if isinstance(event, Rejection):
            outcome: RawEvent | Rejection = event
        else:
            notices = [unknown_field(name) for name in unknown_fields.get(index, ())] if unknown_fields else []
            outcome = normalise(event, source, received_at, intake, sender, sent_at, notices)
            if notices:
                notices_by_index[index] = notices
        if isinstance(outcome, RawEvent):
            outcomes.append(outcome)
            accepted.append(outcome)
        else:
            texts = texts or payload.texts()
            row = rejected_event(outcome, bytes(texts[index]), source, received_at, intake.senders.keeping)
            outcomes.append(row)
            rejected.append(row)
    return Received(outcomes, accepted, rejected, notices_by_index, tuple(batch_notices))


def arrival_time() -> datetime:
    """Now, in the whole milliseconds that the warehouse keeps."""
    # Half the time of cutting `datetime.now`.
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)


def unknown_field(name: str) -> Notice:
    """What is said of a field that this version does not know."""
    message = f"{name} is not a field of an event; it is kept in context.{UNKNOWN_FIELDS_MEMBER}."
    return Notice("unknown_field", name, message)


def _ignored(name: str) -> Notice:
    message = f"{name} was ignored." if name else "Members beside events were ignored; they are too long to be listed."
    return Notice("member_ignored", name, message)
