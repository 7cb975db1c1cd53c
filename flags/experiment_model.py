"""What an experiment is: variants that users are split between, and metrics by which these are compared.

`experiment_codec` reads and writes it, `experiment_phases` changes its status, `assignment` puts users into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from flags.model import Condition, Namespace

Status: TypeAlias = Literal["draft", "running", "paused", "completed", "archived"]
MetricType: TypeAlias = Literal["conversion", "count", "revenue", "duration", "ratio"]
Role: TypeAlias = Literal["goal", "secondary", "guardrail"]


@dataclass(frozen=True, slots=True)
class ExperimentVariant:
    """What a part of the users gets."""

    id: str
    name: str
    allocation: float
    """A share of the sum of all allocations."""
    description: str = ""
    config: Any = None
    """JSON for the app."""
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class Denominator:
    """What a ratio divides by: events of this name, or the sum of one of their properties."""

    event_name: str
    property: str | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """A user's value counts up to here: a number, or a percentile (0 to 1) of the values of all users."""

    type: Literal["absolute", "percentile"]
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """What is measured for each user, from the first exposure on."""

    id: str
    name: str
    type: MetricType
    aggregation: Literal["rate", "mean", "sum", "ratio"]
    event_name: str
    is_primary: bool = False
    role: Role = "secondary"
    property: str | None = None
    """The numeric property whose values are summed; None counts events, or sums what revenue events are worth."""
    window_hours: float | None = None
    """How long after the first exposure events count; None is for good."""
    cap: Cap | None = None
    direction: Literal["increase", "decrease"] = "increase"
    """Which way is good."""
    non_inferiority_margin: float | None = None
    """How much worse, in units of the metric, a guardrail may be."""
    denominator: Denominator | None = None
    covariate_days: int = 14
    """Days before the first exposure whose events make the estimate more precise (CUPED); 0 is none."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A time in which users were assigned in one way."""

    started_at: datetime
    allocations: Mapping[str, float]
    """A share for each variant; they make up 1."""
    coverage: float = 1.0
    """Share of the users that are in, 0 to 1."""
    ended_at: datetime | None = None
    """None while it lasts."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of the relative effect before there are data: a normal distribution."""

    mean: float
    std_dev: float


@dataclass(frozen=True, slots=True)
class Decision:
    """How an experiment ended."""

    variant_id: str | None
    """What everybody gets from then on; None is the control, where nothing was decided for."""
    comment: str
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment, also called an A/B test. In documents its key is `id`."""

    key: str
    name: str
    variants: tuple[ExperimentVariant, ...]
    """At least two, exactly one of them the control. Their order decides who gets which."""
    metrics: tuple[Metric, ...] = ()
    status: Status = "draft"
    description: str = ""
    hypothesis: str = ""
    phases: tuple[Phase, ...] = ()
    """In order; the last one is open while the experiment runs."""
    hash_attribute: str = "id"
    seed: str = ""
    """Experiments with one seed have the same buckets."""
    coverage: float = 1.0
    conditions: tuple[Condition, ...] = ()
    """All must hold for a user who is in."""
    namespace: Namespace | None = None
    confidence_level: float = 0.95
    planned_users: int | None = None
    """How many users, of all variants together, the experiment is to end with."""
    segments: tuple[str, ...] = ()
    """Dimensions by which results are reported too."""
    correction: Literal["holm", "bh", "none"] = "holm"
    prior: Prior | None = None
    """None believes nothing: a flat prior."""
    flag_key: str | None = None
    """Flag whose exposures count as this experiment's."""
    guardrail_policy: Literal["none", "disable_flag"] = "none"
    decision: Decision | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    version: int = 1
    created_by: str = ""
    created_at: datetime | None = None
    updated_by: str = ""
    updated_at: datetime | None = None

    @property
    def control(self) -> ExperimentVariant:
        """The variant that the others are compared with."""
        return next(one for one in self.variants if one.is_control)

    def variant(self, variant_id: str) -> ExperimentVariant | None:
        """The variant of this id."""
        return next((one for one in self.variants if one.id == variant_id), None)

    def shares(self) -> dict[str, float]:
        """The allocations as shares that make up 1, by variant."""
        total = sum(one.allocation for one in self.variants)
        return {one.id: one.allocation / total for one in self.variants}
