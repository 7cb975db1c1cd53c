"""Why a number is missing or wants caution: the reasons, and which of them apply to a row."""

from enum import IntFlag

import numpy as np

from experiment_stats.arrays import Booleans, Floats, Integers, Objects, choose
from experiment_stats.comparisons import Comparisons, MetricType
from experiment_stats.moments import Moments

LARGEST_COUNT = 2.0**53
"""Above it float64 has gaps between whole numbers."""
LARGEST_SQUARES = 1e300
MINIMUM_CELL = 10.0
"""Conversions and non-conversions of a proportion, users of a mean, in each arm."""


class Reason(IntFlag):
    """Bits of a row's reasons; the first that is set of those in `STATUSES` is the row's status."""

    INVALID_INPUT = 1
    INSUFFICIENT_DATA = 2
    MISSING_DATA = 4
    NUMERICALLY_UNSTABLE = 8
    DENOMINATOR_ZERO = 16
    ZERO_VARIANCE = 32
    BASELINE_ZERO = 64
    BASELINE_NOT_DISTINCT_FROM_ZERO = 128
    LOW_COUNTS = 256
    SEQUENTIAL_BASELINE_NOT_DISTINCT_FROM_ZERO = 512
    POSTERIOR_BASELINE_NOT_DISTINCT_FROM_ZERO = 1024
    INVALID_COVARIATE = 2048


FAILURES = {
    "invalid_input": "counts or sums that cannot be (a negative variance, more conversions than users), or settings",
    "insufficient_data": "an arm has no user or a single one",
    "missing_data": "a sum that the metric needs is absent",
    "numerically_unstable": "the mean is so large beside the spread that the sums have lost it (mean^2/variance > 1e8)",
    "denominator_zero": "the denominator of a ratio sums to 0 in an arm",
    "zero_variance": "all users of both arms have the same value, so there is nothing to test with",
    "baseline_zero": "the control mean is 0, so there is no lift; the difference stands",
    "baseline_not_distinct_from_zero": "the control mean is too noisy for an interval of the lift",
    "low_counts": "too few events for a decision; the numbers are shown",
    "sequential_baseline_not_distinct_from_zero": "the same for the always-valid interval of the lift",
    "posterior_baseline_not_distinct_from_zero": "the same for the posterior of the lift",
    "invalid_covariate": "sums of the covariate that cannot be; the row is not adjusted by CUPED",
}
"""Codes of `validation_failures` and what they mean, in the order of `Reason`."""
STATUSES = {"ok": "every number is there", **dict(list(FAILURES.items())[:8])}
"""Codes of `status`."""

UNTESTABLE = Reason(31)
"""Reasons that leave nothing to say: every number of the row is NULL."""


def input_reasons(comparisons: Comparisons) -> Integers:
    """Reasons that show before anything is computed: settings, counts and absent sums."""
    settings = (
        (comparisons.alpha > 0)
        & (comparisons.alpha < 1)
        & ~(comparisons.tuning_users <= 0)
        & ~np.isinf(comparisons.tuning_users)
        & ~(comparisons.prior_std_dev <= 0)
        & ~np.isinf(comparisons.prior_mean)
        & ~(comparisons.non_inferiority_margin <= 0)
        & ~np.isinf(comparisons.non_inferiority_margin)
    )
    reasons = np.where(settings, 0, int(Reason.INVALID_INPUT))
    for arm in (comparisons.control, comparisons.treatment):
        reasons |= np.where(_is_impossible(comparisons.metric_type, arm), int(Reason.INVALID_INPUT), 0)
        reasons |= np.where(arm.users < 2, int(Reason.INSUFFICIENT_DATA), 0)
        reasons |= np.where(_is_incomplete(comparisons.metric_type, arm), int(Reason.MISSING_DATA), 0)
    return reasons


def _is_impossible(metric_type: Integers, arm: Moments) -> Booleans:
    """Counts and sums that no users can have; comparisons with NaN are false, so absent sums are not."""
    is_proportion = metric_type == MetricType.PROPORTION
    is_ratio = metric_type == MetricType.RATIO
    is_impossible = (arm.users < 0) | (arm.users > LARGEST_COUNT) | (arm.users % 1 != 0) & ~np.isnan(arm.users)
    is_impossible |= np.isinf(arm.main_sum)
    is_impossible |= is_proportion & ((arm.main_sum < 0) | (arm.main_sum > arm.users))
    is_impossible |= ~is_proportion & ((arm.main_sum_squares < 0) | (arm.main_sum_squares > LARGEST_SQUARES))
    squares = arm.denominator_sum_squares
    product = np.abs(arm.main_denominator_sum_product)
    is_impossible |= is_ratio & ((squares < 0) | (squares > LARGEST_SQUARES) | (product > LARGEST_SQUARES))
    return np.asarray(is_impossible | is_ratio & np.isinf(arm.denominator_sum))


def _is_incomplete(metric_type: Integers, arm: Moments) -> Booleans:
    needs_squares = metric_type != MetricType.PROPORTION
    is_ratio = metric_type == MetricType.RATIO
    denominator = arm.denominator_sum + arm.denominator_sum_squares + arm.main_denominator_sum_product
    is_incomplete = np.isnan(arm.users) | np.isnan(arm.main_sum)
    is_incomplete |= needs_squares & np.isnan(arm.main_sum_squares)
    return np.asarray(is_incomplete | is_ratio & np.isnan(denominator))


def sparse_rows(comparisons: Comparisons) -> Booleans:
    """Proportions with fewer than ten conversions or ten others in an arm: they have the score family."""
    is_small = ~(_smallest_cell(comparisons) >= MINIMUM_CELL)
    return np.asarray((comparisons.metric_type == MetricType.PROPORTION) & is_small)


def low_count_rows(comparisons: Comparisons) -> Booleans:
    """Rows without enough for a decision: a small total of the metric in both arms, or a small cell."""
    total = np.abs(comparisons.control.main_sum) + np.abs(comparisons.treatment.main_sum)
    return np.asarray((total < comparisons.minimum_total) | (_smallest_cell(comparisons) < MINIMUM_CELL))


def _smallest_cell(comparisons: Comparisons) -> Floats:
    arms = (comparisons.control, comparisons.treatment)
    users = np.minimum(*(arm.users for arm in arms))
    conversions = np.minimum(*(np.minimum(arm.main_sum, arm.users - arm.main_sum) for arm in arms))
    return np.where(comparisons.metric_type == MetricType.PROPORTION, conversions, users)


def statuses(reasons: Integers) -> Objects:
    """The status of each row: its first reason that takes a number away, or `ok`."""
    codes = list(STATUSES)[1:]
    meanings = [next((code for bit, code in enumerate(codes) if mask >> bit & 1), "ok") for mask in range(256)]
    return choose(reasons & 255, meanings)


def validation_failures(reasons: Integers) -> Objects:
    """Every reason of each row, as a tuple of codes; rows with the same reasons share it."""
    masks, inside = np.unique(reasons, return_inverse=True)
    return choose(inside, [tuple(code for bit, code in enumerate(FAILURES) if mask >> bit & 1) for mask in masks])
