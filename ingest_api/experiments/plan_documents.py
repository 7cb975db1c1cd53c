"""What a plan of an experiment is asked by and what it answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from flags.experiment_model import MetricType
from ingest_api.camel_model import CamelModel
from ingest_api.experiments.planning import MOST_VARIANTS


class PlanRequest(BaseModel):
    """A metric without the change and the smallest change that is worth finding."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", allow_inf_nan=False)

    minimum_detectable_effect: float = Field(ge=1e-6, le=10, description="Relative: 0.05 is 5 %", examples=[0.05])
    baseline: float | None = Field(
        None, ge=-1e12, le=1e12, description="Rate or mean of a user; else that of the experiment's control"
    )
    type: MetricType = Field("conversion", description="Of a conversion the variance follows from the rate")
    variance: float | None = Field(None, ge=1e-24, le=1e24, description="Of one user's value; not for a conversion")
    power: float = Field(0.8, ge=0.5, lt=1)
    alpha: float | None = Field(None, gt=0, le=0.5, description="0.05, or what the experiment's confidenceLevel says")
    variants: int = Field(2, ge=2, le=MOST_VARIANTS, description="With the control; users are split evenly")
    experiment_id: str | None = Field(None, description="Takes variants, allocations and traffic of this experiment")
    metric_id: str | None = Field(None, description="Its metric whose baseline counts; by default the primary one")
    users_per_day: float | None = Field(None, ge=1e-3, le=1e12, description="Instead of yesterday's traffic")


class DetectableEffect(CamelModel):
    """What would be found after some days."""

    days: int
    total_users: int
    minimum_detectable_effect: float


class PlanAnswer(CamelModel):
    """Users and days."""

    users_per_variant: int = Field(description="Of the largest variant; of each where users are split evenly")
    users_by_variant: list[int] = Field(description="The control first, the others in their order")
    total_users: int
    days: int | None = Field(description="At that traffic; null where it is not known")
    users_per_day: float | None
    traffic: Literal["given", "experiment", "visitors", "unknown"] = Field(
        description="Whence users a day are known: the request, new users of the experiment yesterday, or all visitors"
    )
    baseline: float
    variance: float
    type: MetricType
    minimum_detectable_effect: float
    power: float
    alpha: float
    detectable_after: list[DetectableEffect] = Field(description="What 1, 2, 4 and 8 weeks would show")
