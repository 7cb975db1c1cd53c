"""`/api/analytics/quarantine`: rejected events, and taking them in after all."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from ingest_api.auth.permissions import CanReadQuarantine, CanReplayQuarantine
from ingest_api.errors import FieldError, InputInvalid
from ingest_api.events.reception import arrival_time
from ingest_api.openapi import problem_responses
from ingest_api.quarantine.documents import (
    Attempt,
    ListedEvent,
    ListQuery,
    QuarantineDetail,
    QuarantinePage,
    QuarantineSummary,
    Reason,
    ReplayAnswer,
    ReplayRequest,
    ReplayVerdict,
    SourceCounts,
    SummaryQuery,
)
from ingest_api.quarantine.rejections import EARLIEST, Position, Quarantine
from ingest_api.quarantine.replaying import replay
from ingest_api.services import services_of

_SUMMARY_SPAN = timedelta(days=1)

router = APIRouter(
    prefix="/api/analytics/quarantine", tags=["quarantine"], responses=problem_responses(400, 401, 403, 503)
)


def _quarantine(request: Request) -> Quarantine:
    return Quarantine(services_of(request.scope).warehouse)


@router.get("", summary="Rejected events, newest first")
async def list_rejections(
    caller: CanReadQuarantine, query: Annotated[ListQuery, Query()], request: Request
) -> QuarantinePage:
    """Rejected events without their payloads. An event appears some seconds after it was rejected."""
    after = Position.read(query.cursor) if query.cursor else None
    rows, last = await _quarantine(request).page(query.filter(), query.status, query.limit, after)
    items = [ListedEvent(**row, **_status(row["first_accepted_at"])) for row in rows]
    return QuarantinePage(items=items, next_cursor=last.text() if last else None)


@router.get("/summary", summary="Rejected events by reason and source")
async def summarise_rejections(
    caller: CanReadQuarantine, query: Annotated[SummaryQuery, Query()], request: Request
) -> QuarantineSummary:
    """Counts by code and source, and the share of events that are not accepted."""
    until = query.until or datetime.now(UTC)
    since = query.since or max(until - _SUMMARY_SPAN, EARLIEST)
    rows, accepted = await _quarantine(request).summary(since, until)
    reasons = [Reason(**row) for row in rows]
    sources = [
        SourceCounts(source=name, **_counts((one for one in reasons if one.source == name), accepted.get(name, 0)))
        for name in sorted(accepted.keys() | {one.source for one in reasons})
    ]
    return QuarantineSummary(
        since=since, until=until, reasons=reasons, sources=sources, **_counts(reasons, sum(accepted.values()))
    )


@router.get("/{rejectionId}", summary="One rejected event", responses=problem_responses(404))
async def show_rejection(
    caller: CanReadQuarantine, rejection_id: Annotated[str, Path(alias="rejectionId")], request: Request
) -> QuarantineDetail:
    """One rejected event with its whole payload and each attempt to replay it."""
    row, attempts = await _quarantine(request).one(rejection_id)
    accepted = (one["replayed_at"] for one in attempts if one["outcome"] == "accepted")
    tried = [Attempt(**one) for one in attempts]
    return QuarantineDetail(**row, **_status(min(accepted, default=None)), attempts=tried)


@router.post("/replay", summary="Take in rejected events after all")
async def replay_rejections(caller: CanReplayQuarantine, asked: ReplayRequest, request: Request) -> ReplayAnswer:
    """Judge rejected events again with today's rules and store those that pass, each under its own id.

    Replaying an event twice is harmless: an id counts once.
    """
    services, quarantine = services_of(request.scope), _quarantine(request)
    rejection_ids, last = list(dict.fromkeys(asked.rejection_ids or ())), None
    if (asked.filter is None) is (asked.rejection_ids is None):
        wrong = FieldError("rejectionIds", "or filter must be given, and not both")
        raise InputInvalid(f"{wrong.field} {wrong.message}.", errors=[wrong])
    if asked.filter is not None:
        after = Position.read(asked.cursor) if asked.cursor else None
        rows, last = await quarantine.page(asked.filter.filter(), "waiting", asked.limit, after)
        rejection_ids = [row["rejection_id"] for row in rows]
    verdicts = await replay(
        quarantine,
        services.event_stream,
        services.intake,
        rejection_ids,
        requested_by=caller.subject,
        now=arrival_time(),
        is_dry_run=asked.dry_run,
    )
    accepted_count = sum(one.outcome == "accepted" for one in verdicts)
    return ReplayAnswer(
        accepted=accepted_count,
        rejected=len(verdicts) - accepted_count,
        dry_run=asked.dry_run,
        items=[ReplayVerdict.model_validate(one, from_attributes=True) for one in verdicts],
        next_cursor=last.text() if last else None,
    )


def _status(replayed_at: datetime | None) -> dict[str, Any]:
    return {"status": "replayed" if replayed_at else "waiting", "replayed_at": replayed_at}


def _counts(reasons: Iterable[Reason], accepted: int) -> dict[str, Any]:
    reasons = list(reasons)
    waiting = sum(one.waiting_count for one in reasons)
    return {
        "accepted_count": accepted,
        "rejected_count": sum(one.rejected_count for one in reasons),
        "waiting_count": waiting,
        "rejected_share": round(waiting / (waiting + accepted), 6) if waiting else 0.0,
    }
