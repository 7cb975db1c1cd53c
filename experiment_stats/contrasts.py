"""The two arms of each row put together: the difference, what its variance is, and what the lift rests on."""

from dataclasses import dataclass

import numpy as np

from experiment_stats import cuped
from experiment_stats.arm_means import arm_means
from experiment_stats.arrays import Booleans, Floats, Integers
from experiment_stats.comparisons import Comparisons, MetricType
from experiment_stats.proportions import pooled_variance
from experiment_stats.relative import RelativeErrors
from experiment_stats.validity import UNTESTABLE, Reason, input_reasons, low_count_rows, sparse_rows


@dataclass(frozen=True, slots=True)
class Contrasts:
    """One element a row; NaN in rows that cannot be tested."""

    reasons: Integers
    is_score: Booleans
    """Sparse proportions, which are tested by the score family."""
    control_users: Floats
    treatment_users: Floats
    control_mean: Floats
    """Not adjusted, whatever the difference is."""
    difference: Floats
    control_error: Floats
    """Squared standard error of the control's mean, adjusted."""
    treatment_error: Floats
    unadjusted_control_error: Floats
    guarded_control_error: Floats
    """For what is not exact in sparse rows: the larger of the arm's own and the pooled variance. Equal to
    `control_error` in all other rows."""
    guarded_treatment_error: Floats
    pooled_error: Floats
    """Squared standard error of the difference of two proportions if there is none."""
    adjustment: cuped.Adjustment
    variance_reduction: Floats

    @property
    def std_error(self) -> Floats:
        """Of the difference; NaN where it is 0, for then the data tell nothing about it."""
        return _root(self.control_error + self.treatment_error)

    @property
    def guarded_std_error(self) -> Floats:
        """The same from the guarded errors."""
        return _root(self.guarded_control_error + self.guarded_treatment_error)

    @property
    def signed_lift(self) -> Floats:
        """Difference over the control mean; NaN where that is 0."""
        return np.where(self.control_mean == 0, np.nan, self.difference / self.control_mean)

    def relative_errors(self, *, is_guarded: bool) -> RelativeErrors:
        """Errors of control + difference and of the control's unadjusted mean, in units of that mean.

        CUPED ties the two: control + difference holds theta times the control's covariate mean.
        """
        control = self.guarded_control_error if is_guarded else self.control_error
        treatment = self.guarded_treatment_error if is_guarded else self.treatment_error
        covariate = self.adjustment.control_covariate_variance / self.control_users
        covariance = self.adjustment.control_covariance / self.control_users
        unadjusted = np.where(self.adjustment.is_adjusted, self.unadjusted_control_error, control)
        mean = self.control_mean
        return RelativeErrors(
            treatment=(treatment + covariate) / mean / mean,
            control=unadjusted / mean / mean,
            covariance=covariance / mean / mean,
        )


def contrasts(comparisons: Comparisons) -> Contrasts:
    """Read the moments of both arms, adjust them, and find out what can be tested."""
    control, treatment = comparisons.control, comparisons.treatment
    means = arm_means(comparisons.metric_type, control), arm_means(comparisons.metric_type, treatment)
    reasons = input_reasons(comparisons)
    for arm in means:
        reasons |= np.where(arm.is_invalid, int(Reason.INVALID_INPUT), 0)
        reasons |= np.where(arm.is_unstable, int(Reason.NUMERICALLY_UNSTABLE), 0)
        reasons |= np.where(arm.is_undefined, int(Reason.DENOMINATOR_ZERO), 0)
    is_score = sparse_rows(comparisons)
    is_wanted = ~is_score & (comparisons.metric_type != MetricType.RATIO)
    adjustment = cuped.adjust(control, treatment, means, is_wanted)
    is_testable = (reasons & UNTESTABLE) == 0
    reasons |= np.where(is_testable & adjustment.is_invalid, int(Reason.INVALID_COVARIATE), 0)
    reasons |= np.where(is_testable & low_count_rows(comparisons), int(Reason.LOW_COUNTS), 0)
    reasons |= np.where(is_testable & (means[0].mean == 0), int(Reason.BASELINE_ZERO), 0)

    raw = [np.where(is_testable, arm.variance / arm.users, np.nan) for arm in means]
    control_error = np.where(is_testable, adjustment.control_variance / control.users, np.nan)
    treatment_error = np.where(is_testable, adjustment.treatment_variance / treatment.users, np.nan)
    pooled = pooled_variance(control.main_sum, control.users, treatment.main_sum, treatment.users)
    pooled = np.where(is_testable & is_score, pooled, 0.0)
    pooled_error = pooled / control.users + pooled / treatment.users
    is_constant = np.where(is_score, pooled_error, control_error + treatment_error) == 0
    reasons |= np.where(is_testable & is_constant, int(Reason.ZERO_VARIANCE), 0)
    difference = means[1].mean - means[0].mean + adjustment.difference_shift
    reduction = 1 - (control_error + treatment_error) / (raw[0] + raw[1])
    return Contrasts(
        reasons=reasons,
        is_score=is_score & is_testable,
        control_users=control.users,
        treatment_users=treatment.users,
        control_mean=np.where(is_testable, means[0].mean, np.nan),
        difference=np.where(is_testable, difference, np.nan),
        control_error=control_error,
        treatment_error=treatment_error,
        unadjusted_control_error=raw[0],
        guarded_control_error=np.maximum(control_error, pooled / control.users),
        guarded_treatment_error=np.maximum(treatment_error, pooled / treatment.users),
        pooled_error=pooled_error,
        adjustment=adjustment,
        variance_reduction=np.where(adjustment.is_adjusted, reduction, np.where(is_testable, 0.0, np.nan)),
    )


def _root(squared: Floats) -> Floats:
    return np.sqrt(np.where(squared > 0, squared, np.nan))
