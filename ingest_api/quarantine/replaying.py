"""Trying rejected events again: the same way in, with the code and the tracking plan of today."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from ingest_api.errors import InputInvalid
from ingest_api.events.intake import Intake
from ingest_api.events.normalise import normalise, uuid7
from ingest_api.events.payload import Rejection, decode_event
from ingest_api.events.reception import unknown_field
from ingest_api.events.stream import EventStream, Rows
from ingest_api.quarantine.rejections import Quarantine, Quarantined
from warehouse.raw_events import QuarantineReplay, RawEvent

REPLAY_CODES = {
    "payload_incomplete": "The payload was too large to be kept whole, so the event cannot be replayed; send it anew.",
    "rejection_unknown": "No rejection has this id.",
}
"""Reasons for which a rejection is not even tried again; all others are codes of rejection."""

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one rejection; `code` and `message` are empty for an accepted one."""

    rejection_id: str
    event_id: str
    outcome: Literal["accepted", "rejected"]
    code: str = ""
    message: str = ""


def resubmit(quarantined: Quarantined, intake: Intake) -> RawEvent | Rejection:
    """What the event becomes when it is judged again, by the tracking plan of `intake`.

    It keeps its id, its source and the time at which it was received, which also dates it when it has no timestamp:
    whoever replays it twice gets the same row twice. Of its sender only what the event itself says is known.
    """
    if not quarantined.is_complete:
        return Rejection("payload_incomplete", "", REPLAY_CODES["payload_incomplete"])
    try:
        single = decode_event(quarantined.payload.encode())
    except InputInvalid as error:
        return Rejection(error.code, "", error.detail)
    event = single.event
    if isinstance(event, Rejection):
        return event
    if not event.event_id:
        event = msgspec.structs.replace(event, event_id=quarantined.event_id)
    notices = [unknown_field(name) for name in single.unknown_fields]
    return normalise(event, quarantined.source, quarantined.received_at, intake, notices=notices)


async def replay(
    quarantine: Quarantine,
    stream: EventStream,
    intake: Intake,
    rejection_ids: Sequence[str],
    *,
    requested_by: str,
    now: datetime,
    is_dry_run: bool = False,
) -> list[Verdict]:
    """Judge rejections again and store those that pass now; the verdicts are in the order of the ids.

    An event and the note that it was replayed are one entry of the stream: never one without the other.

    Raises:
        WarehouseAway: the rejections cannot be read; those before may be stored.
        StreamAway: the events are not known to be stored; ask again, an id counts once.
    """
    verdicts: list[Verdict] = []
    async for group in quarantine.with_payloads(rejection_ids):
        judged = [(one, resubmit(one, intake)) for one in group if isinstance(one, Quarantined)]
        events = [outcome for _, outcome in judged if isinstance(outcome, RawEvent)]
        if judged and not is_dry_run:
            attempts = [_attempt(one, outcome, requested_by, now) for one, outcome in judged]
            await stream.append(
                Rows(
                    events=_encoder.encode_lines(events),
                    event_count=len(events),
                    quarantine_replays=_encoder.encode_lines(attempts),
                )
            )
        by_id = {one.rejection_id: _verdict(one, outcome) for one, outcome in judged}
        verdicts += [by_id[one.rejection_id] if isinstance(one, Quarantined) else _unknown(one) for one in group]
    return verdicts


def _attempt(one: Quarantined, outcome: RawEvent | Rejection, requested_by: str, now: datetime) -> QuarantineReplay:
    verdict = _verdict(one, outcome)
    return QuarantineReplay(
        replay_id=uuid7(now),
        rejection_id=one.rejection_id,
        event_id=verdict.event_id,
        outcome=verdict.outcome,
        code=verdict.code,
        message=verdict.message,
        requested_by=requested_by,
        replayed_at=now,
    )


def _verdict(one: Quarantined, outcome: RawEvent | Rejection) -> Verdict:
    if isinstance(outcome, RawEvent):
        return Verdict(one.rejection_id, outcome.event_id, "accepted")
    return Verdict(one.rejection_id, one.event_id, "rejected", outcome.code, outcome.message)


def _unknown(rejection_id: str) -> Verdict:
    return Verdict(rejection_id, "", "rejected", "rejection_unknown", REPLAY_CODES["rejection_unknown"])
