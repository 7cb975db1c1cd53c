"""What the routes of experiments are asked and what they answer about definitions.

Experiments themselves are read by `flags.experiment_codec`, which names everything that is wrong at once; their models
here say in the OpenAPI document what they look like.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from flags.experiment_model import MetricType, Role, Status
from flags.fields import KEY_PATTERN, MAX_KEY_CHARACTERS, MAX_TEXT_CHARACTERS
from ingest_api.camel_model import CamelModel
from ingest_api.flags.documents import ConditionDocument, PageQuery, body_of, schema_of

_Dimension = Literal["country", "device_type", "os_name", "browser_name", "source"]


class _Asked(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class VariantInput(CamelModel):
    """What a part of the users gets."""

    id: str = Field(pattern=f"^{KEY_PATTERN}$", max_length=MAX_KEY_CHARACTERS, examples=["variant_a"])
    name: str = ""
    description: str = ""
    allocation: float = Field(1, ge=0, description="A share of the sum of all allocations: 50 and 50, or 1 and 1")
    config: Any = Field(None, description="JSON for the app")
    is_control: bool = Field(False, description="Exactly one variant is the control")


class DenominatorInput(CamelModel):
    """What a ratio divides by."""

    event_name: str
    property: str | None = Field(None, description="Summed; without it events are counted")


class CapInput(CamelModel):
    """Up to where the value of one user counts."""

    type: Literal["absolute", "percentile"]
    value: float = Field(gt=0, description="A number, or a percentile between 0 and 1 over all users")


class MetricInput(CamelModel):
    """What is measured for each user."""

    id: str = Field(pattern=f"^{KEY_PATTERN}$", max_length=MAX_KEY_CHARACTERS, examples=["conversion"])
    name: str = ""
    type: MetricType
    aggregation: Literal["rate", "mean", "sum", "ratio"] = Field(
        "rate",
        description="`rate` of a conversion, `mean` or `sum` of a count, revenue or duration, `ratio` of a ratio",
    )
    is_primary: bool = Field(False, description="The verdict follows the first primary metric")
    role: Role = Field("secondary", description="`goal` where it is primary")
    event_name: str = Field("", description="Event that is measured; by default one called like the metric's id")
    property: str | None = Field(None, description="Numeric property that is summed; without it events are counted")
    window_hours: float | None = Field(None, gt=0, description="How long after the first exposure events count")
    cap: CapInput | None = None
    direction: Literal["increase", "decrease"] = Field("increase", description="Which way is good")
    non_inferiority_margin: float | None = Field(
        None, gt=0, description="How much worse a guardrail may be, in units of the metric"
    )
    denominator: DenominatorInput | str | None = Field(None, description="Of a ratio; or the id of another metric")
    covariate_days: int = Field(
        14, ge=0, description="Days before the first exposure that sharpen the estimate (CUPED)"
    )


class ExperimentNamespace(CamelModel):
    """A space that experiments share; ranges that do not meet exclude one another."""

    name: str
    range: tuple[float, float] = Field(description="From and to, 0 to 1")


class PriorInput(CamelModel):
    """What is believed of the relative effect before there are data."""

    mean: float = 0
    std_dev: float = Field(0.3, gt=0)


class ExperimentInput(CamelModel):
    """An experiment as it is written."""

    id: str = Field("", pattern=f"^({KEY_PATTERN})?$", description="By default made of the name")
    name: str = Field(examples=["Homepage Redesign"])
    description: str = ""
    hypothesis: str = ""
    status: Status = Field("draft", description="`running` starts it at once")
    variants: list[VariantInput] = Field(min_length=2)
    metrics: list[MetricInput] = Field([])
    hash_attribute: str = Field("id", description="Attribute that decides the variant; `id` is the user id")
    seed: str = Field("", description="Experiments with one seed have the same buckets; by default the id")
    coverage: float = Field(1, ge=0, le=1, description="Share of the users that are in")
    conditions: list[ConditionDocument | dict[str, Any]] = Field([], description="All of them must hold")
    namespace: ExperimentNamespace | None = None
    confidence_level: float = Field(0.95, ge=0.5, lt=1)
    planned_users: int | None = Field(None, ge=2, description="Users of all variants with whom it is to end")
    segments: list[_Dimension] = Field([], description="Dimensions by which results are reported too")
    correction: Literal["holm", "bh", "none"] = Field("holm", description="For several metrics and variants")
    prior: PriorInput | None = Field(None, description="Without one, nothing is believed: a flat prior")
    flag_key: str | None = Field(None, description="Flag whose exposures count as this experiment's")
    guardrail_policy: Literal["none", "disable_flag"] = Field(
        "none", description="Whether a guardrail that fails turns the flag off"
    )
    started_at: datetime | None = Field(None, description="When it began, of one that ran elsewhere before")
    ended_at: datetime | None = Field(None, description="When it ended, of one that ran elsewhere before")
    created_by: str = ""
    version: int | None = Field(None, description="When it is changed: the version that was read")


class PhaseDocument(CamelModel):
    """A time in which users were assigned in one way."""

    started_at: datetime
    ended_at: datetime | None
    allocations: dict[str, float] = Field(description="A share by variant; they make up 1")
    coverage: float


class DecisionDocument(CamelModel):
    """How the experiment ended."""

    variant_id: str | None
    comment: str
    decided_by: str
    decided_at: datetime


class ExperimentDocument(ExperimentInput):
    """An experiment as it is stored."""

    phases: list[PhaseDocument]
    decision: DecisionDocument | None
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


class ExperimentList(CamelModel):
    """Experiments by id."""

    items: list[ExperimentDocument]
    next_cursor: str | None


class ExperimentQuery(PageQuery):
    """Which experiments."""

    status: Status | None = None


class StepRequest(_Asked):
    """Why a step is taken."""

    version: int | None = Field(None, ge=1, description="The version that was read; another one is a conflict")
    comment: str = Field("", max_length=MAX_TEXT_CHARACTERS)


class CompleteRequest(StepRequest):
    """What was decided."""

    variant_id: str | None = Field(None, description="What everybody gets from now on; null is the control")


EXPERIMENT_BODY = body_of(
    schema_of(ExperimentInput),
    {
        "name": "Homepage Redesign",
        "status": "running",
        "variants": [
            {
                "id": "control",
                "name": "Control",
                "allocation": 50,
                "config": {"layout": "original"},
                "isControl": True,
            },
            {"id": "variant_a", "name": "New Design", "allocation": 50, "config": {"layout": "new"}},
        ],
        "metrics": [
            {
                "id": "conversion",
                "name": "Conversion Rate",
                "type": "conversion",
                "aggregation": "rate",
                "isPrimary": True,
            }
        ],
        "createdBy": "admin",
    },
)
