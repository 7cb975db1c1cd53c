"""What the quarantine routes are asked and what they answer."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from ingest_api.camel_model import CamelModel
from ingest_api.quarantine.rejections import EARLIEST, LATEST, PREVIEW_CHARACTERS, AskedStatus, Filter, Status

MAX_REPLAYED = 1000
"""Most rejections that one request replays."""


def _utc(moment: datetime) -> datetime:
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if not EARLIEST <= moment <= LATEST:
        raise PydanticCustomError("out_of_range", "is not between 1970 and 2200")
    return moment


Moment = Annotated[datetime, AfterValidator(_utc)]
_Text = Annotated[str, Field(min_length=1, max_length=200)]
_RejectionId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class RejectionFilter(_Asked):
    """Which rejections are meant; what is left out does not matter."""

    code: _Text | None = Field(None, description="Why it was rejected, for example `field_missing`")
    source: _Text | None = Field(None, description="Source of the write key")
    event_name: _Text | None = None
    since: Moment | None = Field(None, description="Received at or after; ISO 8601, no zone means UTC")
    until: Moment | None = Field(None, description="Received before")

    def filter(self) -> Filter:
        """The same for `Quarantine`."""
        return Filter(
            self.code or "", self.source or "", self.event_name or "", self.since or EARLIEST, self.until or LATEST
        )


class ListQuery(RejectionFilter):
    """Query parameters of the list."""

    status: AskedStatus = Field("waiting", description="Whether it was replayed with success")
    limit: int = Field(50, ge=1, le=1000)
    cursor: str | None = Field(None, description="`nextCursor` of the page before")


class SummaryQuery(_Asked):
    """Query parameters of the summary."""

    since: Moment | None = Field(None, description="Received at or after; by default 24 hours before `until`")
    until: Moment | None = Field(None, description="Received before; by default now")


class ReplayRequest(_Asked):
    """Either `rejectionIds`, or a `filter` for rejections that wait."""

    rejection_ids: list[_RejectionId] | None = Field(None, min_length=1, max_length=MAX_REPLAYED)
    filter: RejectionFilter | None = None
    limit: int = Field(MAX_REPLAYED, ge=1, le=MAX_REPLAYED, description="Most rejections that the filter takes")
    cursor: str | None = Field(None, description="`nextCursor` of the answer before: go on behind it")
    dry_run: bool = Field(False, description="Only say what would happen")


class QuarantinedEvent(CamelModel):
    """A rejected event without its payload."""

    rejection_id: str
    event_id: str = Field(description="Id of the event, also after a replay")
    event_name: str = Field(description="As far as it could be read")
    code: str = Field(examples=["field_missing"])
    field: str = Field(description="The field that is wrong; empty for the event as a whole")
    message: str
    source: str
    rejected_by: str = Field(description="`api`, or `warehouse` for an event that ClickHouse refused")
    received_at: datetime
    is_complete: bool = Field(description="False when the payload was too large to be kept whole: no replay")
    status: Status
    replayed_at: datetime | None = Field(description="When it was taken in after all")


class ListedEvent(QuarantinedEvent):
    """A rejected event in the list."""

    payload_preview: str = Field(description=f"The first {PREVIEW_CHARACTERS} characters of the payload")
    payload_bytes: int = Field(description="Size of the payload")


class QuarantinePage(CamelModel):
    """Rejected events, newest first."""

    items: list[ListedEvent]
    next_cursor: str | None


class Attempt(CamelModel):
    """One replay of an event."""

    replay_id: str
    outcome: str
    code: str
    message: str
    requested_by: str
    replayed_at: datetime


class QuarantineDetail(QuarantinedEvent):
    """A rejected event with all that is known about it."""

    payload: str = Field(description="The event as it was sent: JSON text")
    attempts: list[Attempt]


class Counts(CamelModel):
    """How many events of a span were accepted, and how many were not."""

    accepted_count: int = Field(description="Accepted events, replayed and resent ones included")
    rejected_count: int
    waiting_count: int = Field(description="Those rejected events that were not replayed with success")
    rejected_share: float = Field(description="Waiting events among waiting and accepted ones, 0 to 1")


class SourceCounts(Counts):
    """The same for one source."""

    source: str


class Reason(CamelModel):
    """Events of one source rejected for one reason."""

    code: str
    source: str
    rejected_count: int
    waiting_count: int
    first_received_at: datetime
    last_received_at: datetime


class QuarantineSummary(Counts):
    """What was rejected in a span of time."""

    since: datetime
    until: datetime
    reasons: list[Reason]
    sources: list[SourceCounts]


class ReplayVerdict(CamelModel):
    """What became of one rejection."""

    rejection_id: str
    event_id: str
    outcome: Literal["accepted", "rejected"]
    code: str = Field(description="Why it was rejected once more; empty when accepted")
    message: str


class ReplayAnswer(CamelModel):
    """A verdict for each rejection, in the order of the ids, else newest first."""

    accepted: int
    rejected: int
    dry_run: bool
    items: list[ReplayVerdict]
    next_cursor: str | None = Field(description="Only with a filter: where the next request goes on; null at the end")
