"""Ratios of two sums over users, such as revenue per order: the delta method (Deng, Knoblich & Lu 2018, section 2)."""

import numpy as np

from experiment_stats.arrays import Booleans, Floats

_NEGLIGIBLE = 1e-12
_IMPOSSIBLE = 1e-8


def ratio_mean_and_variance(
    main_mean: Floats,
    denominator_mean: Floats,
    main_variance: Floats,
    denominator_variance: Floats,
    covariance: Floats,
) -> tuple[Floats, Floats, Booleans]:
    """The ratio R = M/D of two means, the variance of it for one user, and whether that is negative.

    s2_m/D^2 - 2 s_md M/D^3 + M^2 s2_d/D^4 (GrowthBook, details of the statistics engine, equations 11 and 12). Where
    the terms cancel, as when every user has the same ratio, the variance is exactly 0.
    """
    ratio = main_mean / denominator_mean
    terms = (main_variance, -2 * ratio * covariance, ratio * ratio * denominator_variance)
    summed = terms[0] + terms[1] + terms[2]
    size = np.abs(terms[0]) + np.abs(terms[1]) + np.abs(terms[2])
    kept = np.where(np.abs(summed) <= _NEGLIGIBLE * size, 0.0, summed)
    return ratio, kept / denominator_mean / denominator_mean, summed < -_IMPOSSIBLE * size
