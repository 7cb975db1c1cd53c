"""What the two track routes answer: a verdict for each event."""

from collections.abc import Sequence

import msgspec

from ingest_api.errors import FieldError, InputInvalid
from ingest_api.events.payload import UNKNOWN_FIELD, UNKNOWN_FIELDS_MEMBER, Payload, Rejection
from warehouse.raw_events import RawEvent


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something about an accepted request that its sender should look at."""

    code: str
    field: str
    message: str


class Accepted(msgspec.Struct, tag_field="status", tag="accepted", rename="camel", omit_defaults=True, frozen=True):
    """The event is stored, and stays stored. In a batch `index` is its place in the request."""

    event_id: str
    index: int | None = None
    warnings: Sequence[Notice] = ()


class Rejected(msgspec.Struct, tag_field="status", tag="rejected", frozen=True, gc=False):
    """The event is not stored; the same event is refused again. `code` is one of `payload.REJECTION_CODES`."""

    index: int
    code: str
    field: str
    message: str


class BatchVerdict(msgspec.Struct, omit_defaults=True, frozen=True):
    """How many events were taken and refused, and a verdict for each, in the order of the request."""

    accepted: int
    rejected: int
    events: list[Accepted | Rejected]
    warnings: Sequence[Notice] = ()


def event_verdict(row: RawEvent, payload: Payload) -> Accepted:
    """The answer for a single accepted event."""
    return Accepted(row.event_id, warnings=_unknown_fields(payload, 0))


def batch_verdict(outcomes: Sequence[RawEvent | Rejection], payload: Payload) -> BatchVerdict:
    """The answer for a batch of which at least one event was accepted."""
    verdicts: list[Accepted | Rejected] = []
    rejected = 0
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Rejection):
            rejected += 1
            verdicts.append(Rejected(index, outcome.code, outcome.field, outcome.message))
        else:
            warnings = _unknown_fields(payload, index) if payload.unknown_fields else ()
            verdicts.append(Accepted(outcome.event_id, index, warnings))
    ignored = tuple(Notice(UNKNOWN_FIELD, name, f"{name} was ignored.") for name in payload.ignored_members)
    return BatchVerdict(len(outcomes) - rejected, rejected, verdicts, ignored)


def event_refused(rejection: Rejection) -> InputInvalid:
    """The error for a single refused event."""
    wrong = FieldError(rejection.field, rejection.message, rejection.code)
    return InputInvalid(rejection.message, code=rejection.code, errors=[wrong])


def all_refused(rejections: Sequence[Rejection]) -> InputInvalid:
    """The error for a batch of which no event was accepted; `rejections` are in the order of the request."""
    wrong = [
        FieldError(f"events[{index}].{rejection.field}".rstrip("."), rejection.message, rejection.code)
        for index, rejection in enumerate(rejections)
    ]
    return InputInvalid(f"None of the {len(wrong)} events is valid.", code="events_invalid", errors=wrong)


def _unknown_fields(payload: Payload, index: int) -> Sequence[Notice]:
    return tuple(
        Notice(
            UNKNOWN_FIELD, name, f"{name} is not a field of an event; it is kept in context.{UNKNOWN_FIELDS_MEMBER}."
        )
        for name in payload.unknown_fields.get(index, ())
    )
