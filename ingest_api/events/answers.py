"""What the two track routes answer: a verdict for each event."""

from collections.abc import Sequence

import msgspec

from ingest_api.errors import FieldError, InputInvalid
from ingest_api.events.reception import Received
from ingest_api.events.warnings import Notice
from warehouse.raw_events import RawEvent, RejectedEvent


class Accepted(msgspec.Struct, tag_field="status", tag="accepted", rename="camel", omit_defaults=True, frozen=True):
    """The event is stored, and stays stored. In a batch `index` is its place in the request."""

    event_id: str
    index: int | None = None
    warnings: Sequence[Notice] = ()


class Rejected(msgspec.Struct, tag_field="status", tag="rejected", rename="camel", frozen=True, gc=False):
    """The event is kept in the quarantine as `rejectionId`, and no number counts it; sent again as it is, it is refused
    again. `code` is one of `payload.REJECTION_CODES`.
    """

    index: int
    code: str
    field: str
    message: str
    rejection_id: str


class BatchVerdict(msgspec.Struct, omit_defaults=True, frozen=True):
    """How many events were taken and refused, and a verdict for each, in the order of the request."""

    accepted: int
    rejected: int
    events: list[Accepted | Rejected]
    warnings: Sequence[Notice] = ()


def batch_verdict(received: Received) -> BatchVerdict:
    """The answer for a batch of which at least one event was accepted."""
    notices = received.notices
    verdicts = [
        Accepted(outcome.event_id, index, notices.get(index, ()))
        if isinstance(outcome, RawEvent)
        else Rejected(index, outcome.code, outcome.field, outcome.message, outcome.rejection_id)
        for index, outcome in enumerate(received.outcomes)
    ]
    return BatchVerdict(len(received.accepted), len(received.rejected), verdicts, received.batch_notices)


def event_refused(row: RejectedEvent) -> InputInvalid:
    """The error for a single event that is in the quarantine now."""
    return InputInvalid(row.message, code=row.code, errors=[_wrong(row.field, row)])


def all_refused(rows: Sequence[RejectedEvent]) -> InputInvalid:
    """The error for a batch of which no event was accepted; `rows` are in the order of the request."""
    wrong = [_wrong(f"events[{index}].{row.field}".rstrip("."), row) for index, row in enumerate(rows)]
    return InputInvalid(f"None of the {len(wrong)} events is valid.", code="events_invalid", errors=wrong)


def _wrong(field: str, row: RejectedEvent) -> FieldError:
    return FieldError(field, row.message, row.code, row.rejection_id)
