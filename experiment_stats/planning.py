"""How many users an experiment needs, and what it can find with those it has (normal approximation).

All functions take arrays or single values, which are broadcast, and give NaN where a question has no answer.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from experiment_stats.arrays import Floats


def proportion_variance(rate: npt.ArrayLike) -> Floats:
    """Variance p(1-p) of a metric that is 0 or 1; NaN outside 0 to 1."""
    rates = np.asarray(rate, dtype=np.float64)
    return np.where((rates >= 0) & (rates <= 1), rates * (1 - rates), np.nan)


def required_users(
    control_variance: npt.ArrayLike,
    treatment_variance: npt.ArrayLike,
    difference: npt.ArrayLike,
    *,
    alpha: npt.ArrayLike = 0.05,
    power: npt.ArrayLike = 0.8,
    treatment_per_control: npt.ArrayLike = 1.0,
    covariate_correlation: npt.ArrayLike = 0.0,
) -> tuple[Floats, Floats]:
    """Users of the control and of the treatment, whole numbers, to find `difference` with this power.

    (z[1-alpha/2] + z[power])^2 (s2_c + s2_t/k) / difference^2 users in the control and k times as many in the
    treatment; CUPED with a correlation of rho multiplies both variances by 1 - rho^2 (Deng et al. 2013).

    Args:
        control_variance: of one user's metric.
        treatment_variance: of one user's metric.
        difference: of the means, in units of the metric; its sign does not matter.
        alpha: two-sided.
        power: the wanted chance to find it.
        treatment_per_control: k, users of the treatment for each of the control.
        covariate_correlation: rho between the metric and its value before the exposure.
    """
    k, rho = (np.asarray(one, dtype=np.float64) for one in (treatment_per_control, covariate_correlation))
    spread = (np.asarray(control_variance) + np.asarray(treatment_variance) / k) * (1 - rho**2)
    with np.errstate(all="ignore"):
        exact = quantiles(alpha, power) ** 2 * (spread / np.asarray(difference)) / np.asarray(difference)
        exact = np.where(np.isfinite(exact) & (exact > 0) & (k > 0), exact, np.nan)
        control = np.maximum(np.ceil(exact), 2)
        treatment = np.maximum(np.ceil(exact * k), 2)
    return control, treatment


def minimum_detectable_effect(
    std_error: npt.ArrayLike, *, alpha: npt.ArrayLike = 0.05, power: npt.ArrayLike = 0.8
) -> Floats:
    """The difference that is found with this power: (z[1-alpha/2] + z[power]) times its standard error."""
    return quantiles(alpha, power) * np.asarray(std_error, dtype=np.float64)


def power(difference: npt.ArrayLike, std_error: npt.ArrayLike, *, alpha: npt.ArrayLike = 0.05) -> Floats:
    """Chance to find a true difference: Phi(|d|/se - z) + Phi(-|d|/se - z), two-sided."""
    with np.errstate(all="ignore"):
        shift = np.abs(np.asarray(difference, dtype=np.float64)) / np.asarray(std_error, dtype=np.float64)
    critical = -ndtri(np.asarray(alpha, dtype=np.float64) / 2)
    return np.asarray(ndtr(shift - critical) + ndtr(-shift - critical), dtype=np.float64)


def runtime_days(users: npt.ArrayLike, daily_users: npt.ArrayLike) -> Floats:
    """Days until so many users have come, at so many new ones a day; NaN without traffic."""
    daily = np.asarray(daily_users, dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.where(daily > 0, np.asarray(users, dtype=np.float64) / daily, np.nan)


def quantiles(alpha: npt.ArrayLike, power: npt.ArrayLike) -> Floats:
    """z[1-alpha/2] + z[power]: standard errors between no effect and one that is found with this power."""
    levels = np.asarray(alpha, dtype=np.float64)
    return np.asarray(ndtri(np.asarray(power, dtype=np.float64)) - ndtri(levels / 2), dtype=np.float64)
