"""What the results of an experiment look like."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Self

from pydantic import Field

from ingest_api.camel_model import CamelModel
from ingest_api.experiments.effect_texts import Interval, p_text
from ingest_api.experiments.verdict import Verdict

Bounds = tuple[float, float] | None

INTERVALS: Mapping[str, tuple[str, str]] = {
    "confidence_interval": ("absolute_ci_lower", "absolute_ci_upper"),
    "relative_confidence_interval": ("relative_ci_lower", "relative_ci_upper"),
    "sequential_confidence_interval": ("sequential_ci_lower", "sequential_ci_upper"),
    "sequential_relative_confidence_interval": ("sequential_relative_ci_lower", "sequential_relative_ci_upper"),
    "credible_interval": ("credible_interval_lower", "credible_interval_upper"),
}
"""Intervals, and the columns of `experiment_results` with their ends."""
P_VALUES = (
    "p_value",
    "p_value_adjusted",
    "sequential_p_value",
    "sequential_p_value_adjusted",
    "non_inferiority_p_value",
)


class VerdictDocument(CamelModel):
    """What the numbers say."""

    code: str = Field(examples=["wins"], description="Stable name of the verdict, for programs")
    text: str = Field(examples=["New Design wins: +4.1 % (+1.2 % to +7.0 %), valid at any time"])
    variant_id: str | None = Field(description="The variant that it is about, if it is about one")

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """The document of a verdict."""
        return cls(code=verdict.code.value, text=verdict.text, variant_id=verdict.variant_id)


class VariantResult(CamelModel):
    """One variant by one metric. Everything that compares is null for the control; nothing is ever NaN."""

    variant_id: str
    variant_name: str
    is_control: bool
    control_variant_id: str
    verdict: VerdictDocument | None = Field(None, description="Of all users at the end only, never of a segment")
    users: int
    control_users: int | None = None
    sum: float | None = None
    mean: float | None = None
    control_mean: float | None = None
    std_dev: float | None = Field(None, description="Of one user's value")
    control_std_dev: float | None = None
    absolute_difference: float | None = Field(None, description="Variant minus control, in units of the metric")
    absolute_std_error: float | None = None
    confidence_interval: Bounds = Field(None, description="Of the absolute difference, for one look at the end")
    relative_lift: float | None = Field(None, description="The difference as a fraction of the control's mean")
    relative_std_error: float | None = None
    relative_confidence_interval: Bounds = Field(None, description="Of the relative lift")
    relative_ci_method: str | None = None
    test_method: str | None = None
    test_statistic: float | None = None
    degrees_of_freedom: float | None = None
    p_value: float | None = Field(None, description="Two-sided, for one look at the end")
    p_value_text: str | None = Field(None, description="The same as text; `<1e-300` where it is smaller")
    p_value_adjusted: float | None = Field(None, description="Corrected for all goals and variants")
    p_value_adjusted_text: str | None = None
    correction_method: str | None = None
    alpha: float | None = None
    is_significant: bool | None = None
    sequential_p_value: float | None = Field(None, description="Right at every look")
    sequential_p_value_text: str | None = None
    sequential_p_value_adjusted: float | None = None
    sequential_p_value_adjusted_text: str | None = None
    sequential_confidence_interval: Bounds = Field(None, description="Of the difference, right at every look")
    sequential_relative_confidence_interval: Bounds = Field(None, description="Of the lift, right at every look")
    sequential_tuning_parameter: float | None = None
    is_significant_sequential: bool | None = None
    chance_to_win: float | None = Field(None, description="Probability that the effect is in the good direction")
    expected_loss: float | None = None
    posterior_mean: float | None = None
    posterior_std_dev: float | None = None
    credible_interval: Bounds = None
    prior_mean: float | None = None
    prior_std_dev: float | None = None
    prior_is_proper: bool | None = None
    is_cuped_adjusted: bool | None = None
    cuped_theta: float | None = None
    variance_reduction: float | None = None
    non_inferiority_margin: float | None = None
    non_inferiority_p_value: float | None = None
    non_inferiority_p_value_text: str | None = None
    guardrail_status: str | None = None
    mde_relative: float | None = Field(None, description="Lift that would be found with the users there are")
    required_users: float | None = Field(None, description="Users of both arms for the lift that is worth finding")
    runtime_days: float | None = None
    srm_p_value: float | None = None
    srm_detected: bool | None = None
    multiple_exposure_users: int | None = None
    multiple_exposure_rate: float | None = None
    status: str | None = Field(None, description="`ok`, or why numbers are null; null while they are not computed")
    validation_failures: list[str] = Field([], description="Every reason there is for caution")
    is_reliable: bool | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any], verdict: Verdict | None = None) -> Self:
        """The document of a row of `experiment_results`."""
        values = {name: clean(row[name]) for name in cls.model_fields if name in row}
        values |= {name: interval_of(row, name) for name in INTERVALS}
        for name in P_VALUES:
            value = values.get(name)
            values[f"{name}_text"] = None if value is None else p_text(value)
        document = None if verdict is None else VerdictDocument.of(verdict)
        return cls.model_validate({**values, "verdict": document})


class MetricResult(CamelModel):
    """One metric, the control first."""

    metric_id: str
    metric_name: str
    metric_type: str
    aggregation: str
    metric_role: str
    is_primary: bool
    variants: list[VariantResult]


class SegmentResult(CamelModel):
    """Users with one value of an attribute at their first exposure."""

    dimension: str
    value: str = Field(description="Empty where it is not known")
    metrics: list[MetricResult]


class DayResult(CamelModel):
    """What was known at the end of a day."""

    as_of: date
    metrics: list[MetricResult]


class SampleRatio(CamelModel):
    """Whether users were split as they were to be."""

    p_value: float | None
    p_value_text: str | None
    detected: bool


class VariantTraffic(CamelModel):
    """Who came to a variant."""

    variant_id: str
    users: int
    expected_users: float | None = Field(description="By the allocations that held when users came")
    unexpected_users: int = Field(description="Who came while the variant was to get nobody")


class MultipleExposures(CamelModel):
    """Users who saw more than one variant; they are in no number."""

    users: int
    rate: float | None
    is_alarming: bool = Field(description="More than one per cent, and more than ten users")


class Health(CamelModel):
    """Whether the result can be trusted."""

    srm: SampleRatio
    variants: list[VariantTraffic]
    multiple_exposures: MultipleExposures
    unknown_variant_users: int = Field(description="Users who only saw a variant that the experiment does not have")
    warnings: list[str] = Field(description="What to look at, in words")


class Results(CamelModel):
    """What came of an experiment."""

    experiment_id: str
    name: str
    status: str
    hypothesis: str
    verdict: VerdictDocument
    as_of: date | None = Field(description="End of this day (UTC)")
    is_complete: bool = Field(description="Whether all of that day is in the numbers")
    computed_at: datetime | None
    data_until: datetime | None = Field(description="Events received until then are in the tables")
    engine_version: str | None
    health: Health
    metrics: list[MetricResult]
    segments: list[SegmentResult] = Field(description="By value, where a dimension was asked for")
    series: list[DayResult] = Field(description="Day by day, where it was asked for")


def clean(value: Any) -> Any:
    """A number that JSON has: null for what is none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def interval_of(row: Mapping[str, Any], name: str) -> Interval | None:
    """One of `INTERVALS` of a row, None where an end is missing."""
    lower, upper = (clean(row[column]) for column in INTERVALS[name])
    return None if lower is None or upper is None else (lower, upper)
