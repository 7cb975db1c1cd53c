"""From the moments of an arm to its mean and the variance of one user's value, by the type of the metric."""

from dataclasses import dataclass

import numpy as np

from experiment_stats.arrays import Booleans, Floats, Integers
from experiment_stats.comparisons import MetricType
from experiment_stats.moments import Moments
from experiment_stats.ratios import ratio_mean_and_variance

_ROUNDING = 64 * np.finfo(np.float64).eps
_EXACT = 2.0**53
LARGEST_SQUARED_MEAN = 1e8
"""In variances; beyond it fewer than half of the digits of a variance from sums are right."""


@dataclass(frozen=True, slots=True)
class ArmMeans:
    """One element a row; variances are of one user, not of the mean."""

    users: Floats
    mean: Floats
    variance: Floats
    is_invalid: Booleans
    """The sums cannot be: a negative variance, or a covariance above what the variances allow."""
    is_unstable: Booleans
    """The variance is lost in the rounding of the sums."""
    is_undefined: Booleans
    """A ratio's denominator sums to 0."""


def sample_covariance(product: Floats, first_sum: Floats, second_sum: Floats, users: Floats) -> Floats:
    """(sum xy - sum x sum y / n) / (n - 1); exactly 0 where nothing but rounding is left of it."""
    expected = first_sum * (second_sum / users)
    centred = product - expected
    is_rounding = (np.abs(centred) <= _ROUNDING * np.abs(expected)) & (np.abs(expected) < _EXACT)
    return np.where(is_rounding, 0.0, centred) / (users - 1)


def arm_means(metric_type: Integers, arm: Moments) -> ArmMeans:
    """S/n with p(1-p) for a proportion, S/n with (Q - S^2/n)/(n-1) for a mean; for a ratio see `ratios`."""
    mean = arm.main_sum / arm.users
    variance = sample_covariance(arm.main_sum_squares, arm.main_sum, arm.main_sum, arm.users)
    scale = arm.main_sum_squares / arm.users
    is_undefined = np.zeros(len(arm), dtype=bool)
    is_invalid = variance < -scale / LARGEST_SQUARED_MEAN
    ratios = np.flatnonzero(metric_type == MetricType.RATIO)
    if len(ratios):
        some = arm.take(ratios)
        denominator_variance = sample_covariance(
            some.denominator_sum_squares, some.denominator_sum, some.denominator_sum, some.users
        )
        covariance = sample_covariance(
            some.main_denominator_sum_product, some.main_sum, some.denominator_sum, some.users
        )
        denominator_mean = some.denominator_sum / some.users
        is_undefined[ratios] = some.denominator_sum == 0
        is_invalid[ratios] |= denominator_variance < -some.denominator_sum_squares / some.users / LARGEST_SQUARED_MEAN
        mean[ratios], variance[ratios], is_negative = ratio_mean_and_variance(
            mean[ratios], denominator_mean, variance[ratios], denominator_variance, covariance
        )
        is_invalid[ratios] |= is_negative
    is_lost = (mean * mean > LARGEST_SQUARED_MEAN * variance) & ((variance != 0) | (arm.main_sum_squares >= _EXACT))
    is_unstable = ~is_invalid & is_lost
    is_proportion = metric_type == MetricType.PROPORTION
    return ArmMeans(
        users=arm.users,
        mean=mean,
        variance=np.where(is_proportion, mean * ((arm.users - arm.main_sum) / arm.users), variance),
        is_invalid=is_invalid & ~is_proportion,
        is_unstable=is_unstable & ~is_proportion,
        is_undefined=is_undefined,
    )
