"""Two proportions with few conversions: the score family, which needs no variance of an arm that has none."""

import numpy as np
from scipy.special import ndtr, ndtri

from experiment_stats.arrays import Floats


def pooled_variance(
    control_conversions: Floats, control_users: Floats, treatment_conversions: Floats, treatment_users: Floats
) -> Floats:
    """pp(1-pp) of the share pp of both arms together: the variance of one user if the arms do not differ."""
    users = control_users + treatment_users
    conversions = control_conversions + treatment_conversions
    return (conversions / users) * ((users - conversions) / users)


def two_sided_p_value(statistic: Floats) -> Floats:
    """Of a normal statistic, from its lower tail."""
    p_values: Floats = np.minimum(2 * ndtr(-np.abs(statistic)), 1.0)
    return p_values


def critical_value(alpha: Floats) -> Floats:
    """Standard errors to each side of a normal interval of confidence 1 - alpha."""
    quantile: Floats = -ndtri(alpha / 2)
    return quantile


def wilson(conversions: Floats, users: Floats, critical: Floats) -> tuple[Floats, Floats]:
    """Limits of one proportion (Wilson 1927); exactly 0 or 1 where no or all users converted."""
    share = conversions / users
    weight = critical * critical / users
    centre = share + weight / 2
    reach = np.sqrt(weight * (share * ((users - conversions) / users) + weight / 4))
    lower = np.where(conversions == 0, 0.0, np.clip((centre - reach) / (1 + weight), 0, share))
    upper = np.where(conversions == users, 1.0, np.clip((centre + reach) / (1 + weight), share, 1))
    return lower, upper


Limits = tuple[Floats, Floats, Floats]
"""A proportion and its Wilson limits."""


def newcombe(control: Limits, treatment: Limits) -> tuple[Floats, Floats]:
    """Limits of the difference from the limits of the two (Newcombe 1998, method 10)."""
    (p_c, low_c, up_c), (p_t, low_t, up_t) = control, treatment
    difference = p_t - p_c
    return difference - np.hypot(p_t - low_t, up_c - p_c), difference + np.hypot(up_t - p_t, p_c - low_c)


def mover_r(control: Limits, treatment: Limits) -> tuple[Floats, Floats]:
    """Limits of the ratio p_t/p_c from the limits of the two (Donner & Zou 2012); not defined for p_c = 0.

    [p_c p_t -+ sqrt((p_c p_t)^2 - w(2p_t-w) v(2p_c-v))] / (v(2p_c-v)) with w = l_t, v = u_c below and w = u_t, v = l_c
    above. The lower one is multiplied out, because its v(2p_c-v) goes through 0 when conversions are few. It excludes 1
    exactly when Newcombe's interval excludes 0.
    """
    (p_c, low_c, up_c), (p_t, low_t, up_t) = control, treatment
    product = p_c * p_t

    def root(w: Floats, v: Floats) -> Floats:
        discriminant = product**2 - (w * (2 * p_t - w)) * (v * (2 * p_c - v))
        return np.sqrt(np.maximum(discriminant, 0))

    lower = np.where(p_t > 0, low_t * (2 * p_t - low_t) / (product + root(low_t, up_c)), 0.0)
    upper = (product + root(up_t, low_c)) / (low_c * (2 * p_c - low_c))
    return lower, upper
