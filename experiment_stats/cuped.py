"""CUPED: less variance by what users did before the experiment (Deng, Xu, Kohavi & Walker 2013, section 3)."""

from dataclasses import dataclass

import numpy as np

from experiment_stats.arm_means import LARGEST_SQUARED_MEAN, ArmMeans, sample_covariance
from experiment_stats.arrays import Booleans, Floats
from experiment_stats.moments import Moments

_IMPOSSIBLE = 1e-8
_LEAST_REMAINDER = 1e-10
"""Of the variance; less is rounding, so a covariate that tells the metric exactly adjusts nothing."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What CUPED makes of a row; where it is not adjusted, theta and the shift are 0 and the variances as they were."""

    is_adjusted: Booleans
    is_invalid: Booleans
    """The covariate's sums cannot be."""
    theta: Floats
    difference_shift: Floats
    """To be added to the difference of the means."""
    control_variance: Floats
    treatment_variance: Floats
    control_covariate_variance: Floats
    """theta^2 s2_x of the control, for the lift over its unadjusted mean."""
    control_covariance: Floats
    """theta s_xy of the control."""


def adjust(control: Moments, treatment: Moments, means: tuple[ArmMeans, ArmMeans], is_wanted: Booleans) -> Adjustment:
    """Adjust the rows that are wanted and have a pre-period.

    theta = cov(Y, X) / var(X) over both arms together, with sums about their common mean; each arm's mean becomes
    y - theta (x - pooled x) and its variance s2_y + theta^2 s2_x - 2 theta s_xy.

    Args:
        control: moments of the controls.
        treatment: moments of the treatments.
        means: of the controls and of the treatments, not adjusted.
        is_wanted: rows that may be adjusted.
    """
    theta, is_usable = _pooled_theta(control, treatment)
    is_usable &= is_wanted
    is_invalid = np.zeros(len(theta), dtype=bool)
    is_left = np.zeros(len(theta), dtype=bool)
    adjusted, covariate_variances, covariances = [], [], []
    for moments, arm in zip((control, treatment), means, strict=True):
        x = sample_covariance(moments.covariate_sum_squares, moments.covariate_sum, moments.covariate_sum, arm.users)
        xy = sample_covariance(moments.main_covariate_sum_product, moments.main_sum, moments.covariate_sum, arm.users)
        remainder = arm.variance + theta * (theta * x - 2 * xy)
        size = arm.variance + theta * theta * np.abs(x)
        is_invalid |= is_usable & ((remainder < -_IMPOSSIBLE * size) | (x < 0))
        is_left |= remainder > _LEAST_REMAINDER * arm.variance
        is_usable &= np.isfinite(remainder)
        adjusted.append(np.maximum(remainder, 0))
        covariate_variances.append(x)
        covariances.append(xy)
    is_adjusted = is_usable & is_left & ~is_invalid
    shift = theta * (treatment.covariate_sum / treatment.users - control.covariate_sum / control.users)
    return Adjustment(
        is_adjusted=is_adjusted,
        is_invalid=is_invalid,
        theta=np.where(is_adjusted, theta, 0.0),
        difference_shift=np.where(is_adjusted, -shift, 0.0),
        control_variance=np.where(is_adjusted, adjusted[0], means[0].variance),
        treatment_variance=np.where(is_adjusted, adjusted[1], means[1].variance),
        control_covariate_variance=np.where(is_adjusted, theta * theta * covariate_variances[0], 0.0),
        control_covariance=np.where(is_adjusted, theta * covariances[0], 0.0),
    )


def _pooled_theta(control: Moments, treatment: Moments) -> tuple[Floats, Booleans]:
    """Theta of both arms together, and where the covariate's sums are good for one."""
    users = control.users + treatment.users
    covariate_sum = control.covariate_sum + treatment.covariate_sum
    squares = control.covariate_sum_squares + treatment.covariate_sum_squares
    product = control.main_covariate_sum_product + treatment.main_covariate_sum_product
    variance = sample_covariance(squares, covariate_sum, covariate_sum, users)
    theta = sample_covariance(product, control.main_sum + treatment.main_sum, covariate_sum, users) / variance
    is_stable = (covariate_sum / users) ** 2 <= LARGEST_SQUARED_MEAN * variance
    return theta, np.isfinite(theta) & is_stable & (variance > 0)
