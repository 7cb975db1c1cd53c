"""What the flag routes are asked and what they answer.

Definitions themselves are read by `flags.codec`, which names everything that is wrong at once; their models here say in
the OpenAPI document what they look like.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from flags.codec import MAX_TAGS
from flags.fields import KEY_PATTERN, MAX_KEY_CHARACTERS
from ingest_api.camel_model import CamelModel
from ingest_api.flags.change_log import LoggedChange
from ingest_api.flags.scheduled_changes import ScheduledChange
from ingest_api.openapi import without_references

FlagKind = Literal["boolean", "string", "number", "json"]
_LONGEST_COMMENT = 1000


def _with_zone(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise PydanticCustomError("zone_missing", "has no offset; write for example 2030-01-01T08:00:00Z")
    return moment.astimezone(UTC)


Comment = Annotated[str, Query(max_length=_LONGEST_COMMENT, description="Why, for the history")]
Version = Annotated[int | None, Query(ge=1, description="The version that was read; another one is a conflict")]


class _Asked(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class ConditionDocument(CamelModel):
    """An attribute of the user compared with a value. Instead, a condition of GrowthBook's specification may stand."""

    attribute: str = Field(examples=["country"])
    operator: str = Field(examples=["equals"])
    value: Any = Field(None, examples=["US"])


class VariantDocument(CamelModel):
    """A value by name."""

    key: str
    value: Any = None
    name: str = ""
    weight: float = 1


class FlagInput(CamelModel):
    """A flag as it is written."""

    key: str = Field(pattern=f"^{KEY_PATTERN}$", max_length=MAX_KEY_CHARACTERS, examples=["new_feature"])
    name: str = Field(examples=["New Feature"])
    type: FlagKind = "boolean"
    value: Any = Field(None, description="What users get to whom the flag applies", examples=[True])
    default_value: Any = Field(
        None, description="What everybody else gets; when it is absent, false for a boolean and null for others"
    )
    is_enabled: bool = Field(True, description="False is the kill switch: everybody gets `defaultValue`")
    rollout_percentage: float = Field(100, ge=0, le=100)
    conditions: list[ConditionDocument | dict[str, Any]] = Field([], description="All of them must hold")
    variants: list[VariantDocument] = Field([], description="Values that users are split between, by weight")
    rules: list[dict[str, Any]] = Field([], description="Instead of the members above: the first that applies decides")
    prerequisites: list[dict[str, Any]] = Field([], description="Other flags and what they must be")
    tags: list[str] = Field([], max_length=MAX_TAGS)
    owner: str = ""
    description: str = ""
    hash_attribute: str = Field("id", description="Attribute that decides the bucket; `id` is the user id")
    schedule: dict[str, datetime] | None = Field(None, description="`validFrom` and `validUntil`")
    created_by: str = ""
    version: int | None = Field(None, description="When it is changed: the version that was read")


class FlagDocument(FlagInput):
    """A flag as it is stored."""

    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


class SegmentInput(CamelModel):
    """A named condition as it is written."""

    key: str = Field(pattern=f"^{KEY_PATTERN}$", max_length=MAX_KEY_CHARACTERS, examples=["beta_users"])
    name: str
    description: str = ""
    conditions: list[ConditionDocument | dict[str, Any]]
    version: int | None = None


class SegmentDocument(SegmentInput):
    """A named condition as it is stored."""

    version: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    updated_by: str


class FlagList(CamelModel):
    """Flags by key."""

    items: list[FlagDocument]
    next_cursor: str | None


class SegmentList(CamelModel):
    """Segments by key."""

    items: list[SegmentDocument]
    next_cursor: str | None


class PageQuery(_Asked):
    """Query parameters of a list."""

    limit: int = Field(100, ge=1, le=1000)
    cursor: str | None = Field(None, max_length=1000, description="`nextCursor` of the page before")


class FlagQuery(PageQuery):
    """Which flags."""

    tag: str | None = Field(None, max_length=200)
    type: FlagKind | None = None
    enabled: bool | None = None
    text: str | None = Field(None, max_length=200, description="In key, name or description")


class HistoryQuery(PageQuery):
    """Which changes."""


class StaleQuery(_Asked):
    """Since when."""

    days: int = Field(30, ge=1, le=365)


class BundleQuery(_Asked):
    """How a bundle is applied."""

    dry_run: bool = Field(False, description="Only say what would happen")
    prune: bool = Field(False, description="Delete what the bundle does not have")
    comment: str = Field("", max_length=_LONGEST_COMMENT)


class ExplainRequest(_Asked):
    """For whom."""

    user_id: str | int | None = None
    attributes: dict[str, Any] = {}


class RevertRequest(_Asked):
    """To what."""

    to_version: int = Field(ge=1)
    version: int | None = Field(None, ge=1, description="The version that was read; another one is a conflict")
    comment: str = Field("", max_length=_LONGEST_COMMENT)


class ScheduleRequest(_Asked):
    """What to change, and when."""

    due_at: Annotated[datetime, AfterValidator(_with_zone)] = Field(examples=["2030-01-01T08:00:00Z"])
    patch: dict[str, Any] = Field(description="JSON merge patch (RFC 7396)", examples=[{"isEnabled": True}])
    comment: str = Field("", max_length=_LONGEST_COMMENT)


class ScheduledChangeDocument(CamelModel):
    """A change that waits for its time."""

    id: str
    flag_key: str
    due_at: datetime
    patch: dict[str, Any]
    comment: str
    created_by: str
    failure: str = Field(description="Why it could not be made when it was due; empty while it waits")

    @classmethod
    def of(cls, change: ScheduledChange) -> "ScheduledChangeDocument":
        """The document of a change."""
        return cls.model_validate(change, from_attributes=True)


class ScheduledChangeList(CamelModel):
    """The next one first."""

    items: list[ScheduledChangeDocument]
    next_cursor: str | None


class Change(CamelModel):
    """One change of a definition."""

    version: int = Field(description="From then on")
    action: str = Field(
        description="`created`, `updated`, `deleted`, `reverted`, `restored` or `scheduled`; of an experiment also "
        "`started`, `paused`, `resumed`, `completed` or `archived`"
    )
    actor: str
    comment: str
    changed_at: datetime
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @classmethod
    def of(cls, change: LoggedChange) -> "Change":
        """The document of a change."""
        return cls(
            version=change.version,
            action=change.action,
            actor=change.actor,
            comment=change.comment,
            changed_at=change.changed_at,
            before=msgspec.json.decode(change.before) if change.before else None,
            after=msgspec.json.decode(change.after) if change.after else None,
        )


class HistoryPage(CamelModel):
    """Changes, newest first."""

    items: list[Change]
    next_cursor: str | None


class StaleFlag(CamelModel):
    """A flag that may be removed."""

    key: str
    name: str
    owner: str
    reason: Literal["not_evaluated", "same_answer"]
    detail: str
    evaluation_count: int
    last_evaluated_at: datetime | None
    updated_at: datetime


class StaleFlags(CamelModel):
    """By key."""

    as_of: datetime = Field(description="Evaluations until about a minute before are counted")
    items: list[StaleFlag]
    next_cursor: str | None


def body_of(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """What the OpenAPI document says of a body that a route reads by itself."""
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model, which can stand anywhere in the document."""
    schema = model.model_json_schema(by_alias=True)
    inlined: dict[str, Any] = without_references(schema, schema.pop("$defs", {}))
    return inlined


FLAG_EXAMPLE = {
    "name": "New Feature",
    "key": "new_feature",
    "type": "boolean",
    "isEnabled": True,
    "value": True,
    "rolloutPercentage": 50,
    "createdBy": "admin",
}
FLAG_BODY = body_of(schema_of(FlagInput), FLAG_EXAMPLE)
SEGMENT_BODY = body_of(
    schema_of(SegmentInput),
    {
        "key": "beta_users",
        "name": "Beta users",
        "conditions": [{"attribute": "plan", "operator": "in", "value": ["beta", "internal"]}],
    },
)
PATCH_BODY = body_of({"type": "object"}, {"isEnabled": False})
BUNDLE_BODY = body_of(
    {
        "type": "object",
        "properties": {
            "flags": {"type": "array", "items": schema_of(FlagInput)},
            "segments": {"type": "array", "items": schema_of(SegmentInput)},
        },
    },
    {"flags": [FLAG_EXAMPLE], "segments": []},
)
