"""The test at one planned look: difference, lift, their intervals and the p-value."""

from dataclasses import dataclass

import numpy as np

from experiment_stats import means, proportions
from experiment_stats.arrays import Floats, Integers
from experiment_stats.comparisons import Comparisons, RelativeMethod
from experiment_stats.contrasts import Contrasts
from experiment_stats.moments import Moments
from experiment_stats.proportions import Limits
from experiment_stats.relative import delta, fieller, oriented


@dataclass(frozen=True, slots=True)
class FixedHorizon:
    """One element a row; intervals are two-sided with confidence 1 - alpha."""

    statistic: Floats
    degrees_of_freedom: Floats
    """NaN for the score family."""
    critical: Floats
    """Standard errors to each side of an interval."""
    p_value: Floats
    difference_limits: tuple[Floats, Floats]
    lift: Floats
    """Over |control mean|."""
    lift_std_error: Floats
    lift_limits: tuple[Floats, Floats]
    lift_method: Integers
    """Place in `LIFT_METHODS`."""


LIFT_METHODS = (None, "fieller", "delta", "mover_r")
TEST_METHODS = (None, "welch", "score")


def fixed_horizon(comparisons: Comparisons, contrasts: Contrasts) -> FixedHorizon:
    """Welch's test with Fieller's or the delta interval; for sparse proportions score, Newcombe and MOVER-R."""
    alpha, is_score = comparisons.alpha, contrasts.is_score
    std_error = contrasts.std_error
    degrees = means.welch_degrees_of_freedom(
        contrasts.control_error,
        contrasts.treatment_error,
        contrasts.control_users,
        contrasts.treatment_users,
    )
    degrees = np.where(is_score, np.nan, degrees)
    pooled = np.sqrt(np.where(contrasts.pooled_error > 0, contrasts.pooled_error, np.nan))
    statistic = contrasts.difference / np.where(is_score, pooled, std_error)
    p_value = np.where(is_score, proportions.two_sided_p_value(statistic), means.two_sided_p_value(statistic, degrees))
    critical = np.where(is_score, proportions.critical_value(alpha), means.critical_value(degrees, alpha))

    reach = critical * std_error
    difference_limits = (contrasts.difference - reach, contrasts.difference + reach)
    signed, errors = contrasts.signed_lift, contrasts.relative_errors(is_guarded=False)
    is_delta = comparisons.relative_method == RelativeMethod.DELTA
    by_fieller, by_delta = fieller(signed, errors, critical), delta(signed, errors, critical)
    lower, upper = (np.where(is_delta, d, f) for d, f in zip(by_delta, by_fieller, strict=True))
    lift_limits = oriented((lower, upper), contrasts.control_mean)
    method = np.where(is_delta, 2, 1)

    sparse = np.flatnonzero(is_score)
    if len(sparse):
        arms = [
            _wilson_limits(arm.take(sparse), critical[sparse]) for arm in (comparisons.control, comparisons.treatment)
        ]
        for side, limit in enumerate(proportions.newcombe(*arms)):
            difference_limits[side][sparse] = limit
        for side, limit in enumerate(proportions.mover_r(*arms)):
            lift_limits[side][sparse] = np.where(arms[0][0] > 0, limit - 1, np.nan)
        method[sparse] = 3
    variance = errors.variance_of_lift(signed)
    return FixedHorizon(
        statistic=statistic,
        degrees_of_freedom=degrees,
        critical=critical,
        p_value=p_value,
        difference_limits=difference_limits,
        lift=np.where(contrasts.control_mean < 0, -signed, signed),
        lift_std_error=np.sqrt(np.where(variance > 0, variance, np.nan)),
        lift_limits=lift_limits,
        lift_method=method,
    )


def _wilson_limits(arm: Moments, critical: Floats) -> Limits:
    return (arm.main_sum / arm.users, *proportions.wilson(arm.main_sum, arm.users, critical))
