"""How many users an experiment needs and how long that takes, before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from ingest_api.errors import FieldError, InputInvalid

MOST_VARIANTS = 50
MOST_USERS = 10**12
"""More than there are people."""
_DAYS = (7, 14, 28, 56)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the metric is without a change."""

    mean: float
    variance: float
    """Of one user's value."""
    is_rate: bool = False

    def variance_after(self, lift: float) -> float:
        """Of a variant with this lift: that of a rate follows its mean, p(1-p)."""
        if not self.is_rate:
            return self.variance
        rate = self.mean + abs(self.mean) * lift
        return rate * (1 - rate)


@dataclass(frozen=True, slots=True)
class Detectable:
    """What would be found after some days."""

    days: int
    users: int
    lift: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Users, by variant with the control first, and days; None where the traffic is not known."""

    users: tuple[int, ...]
    days: int | None
    detectable: tuple[Detectable, ...]

    @property
    def total_users(self) -> int:
        """Of all variants."""
        return sum(self.users)


def plan_of(
    baseline: Baseline,
    lift: float,
    shares: Sequence[float],
    users_per_day: float | None,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Plan:
    """Plan an experiment (`experiment_stats.planning`), so that each variant is found to differ from the control.

    Args:
        baseline: of the metric.
        lift: the smallest relative effect that is to be found, above 0.
        shares: of the users for each variant, the control first; they make up 1.
        users_per_day: new ones of the experiment; None is unknown.
        alpha: two-sided.
        power: chance to find the effect.

    Raises:
        InputInvalid: the baseline leaves nothing to be found, or no number of users is enough.
    """
    # It needs scipy, which a process that plans nothing need not load.
    from experiment_stats.planning import required_users

    treatment_variance = baseline.variance_after(lift)
    if baseline.mean == 0 or treatment_variance < 0 or baseline.variance + treatment_variance <= 0:
        wrong = FieldError("baseline", "leaves nothing to be found: it must vary, not be 0, and stay below 1 as a rate")
        raise InputInvalid(f"{wrong.field} {wrong.message}.", errors=[wrong])
    control, *treatments = shares
    smallest = min(treatments)
    needed, _ = required_users(
        baseline.variance,
        treatment_variance,
        baseline.mean * lift,
        alpha=alpha,
        power=power,
        treatment_per_control=smallest / control,
    )
    total = float(needed) / control
    if not total <= MOST_USERS:  # also where it is none
        wrong = FieldError("minimumDetectableEffect", "is too small beside the variance to be found by any experiment")
        raise InputInvalid(f"{wrong.field} {wrong.message}.", errors=[wrong])
    # A share of the total that is whole but for rounding is that whole number.
    users = tuple(ceil(round(total * share, 6)) for share in shares)
    return Plan(
        users=users,
        days=ceil(sum(users) / users_per_day) if users_per_day else None,
        detectable=tuple(
            Detectable(
                days,
                int(days * users_per_day),
                _detectable(baseline, days * users_per_day, control, smallest, alpha, power),
            )
            for days in _DAYS
        )
        if users_per_day
        else (),
    )


def _detectable(
    baseline: Baseline, users: float, control: float, treatment: float, alpha: float, power: float
) -> float:
    from experiment_stats.planning import minimum_detectable_effect

    std_error = sqrt(baseline.variance / (users * control) + baseline.variance / (users * treatment))
    return float(minimum_detectable_effect(std_error, alpha=alpha, power=power)) / abs(baseline.mean)
