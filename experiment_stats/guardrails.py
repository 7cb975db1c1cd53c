"""Metrics that must not get worse: non-inferiority against the loss that is tolerated."""

from enum import IntEnum

import numpy as np
from scipy.special import ndtr

from experiment_stats.arrays import Booleans, Floats, Objects, choose


class _Status(IntEnum):
    NONE = 0
    INCONCLUSIVE = 1
    PASSED = 2
    FAILED = 3


def non_inferiority_p_value(
    difference: Floats, std_error: Floats, margin: Floats, is_increase_good: Booleans
) -> Floats:
    """One-sided p = Phi(-z) of a loss of at least `margin` units: z = (d+M)/se, or (-d+M)/se where lower is better."""
    gain = np.where(is_increase_good, difference, -difference)
    p_values: Floats = ndtr(-(gain + margin) / std_error)
    return p_values


def guardrail_statuses(non_inferiority: Floats, alpha: Floats, best_gain: Floats, is_guardrail: Booleans) -> Objects:
    """The verdict on each guardrail; None where there is no test.

    `passed`: a loss as large as the margin is excluded (one-sided, at alpha). `failed`: that is not so, and the metric
    did get worse, by the confidence sequence; so a guardrail that is looked at every day does not fail by chance.
    `inconclusive`: neither.

    Args:
        non_inferiority: one-sided p-values.
        alpha: level of both.
        best_gain: end of the confidence sequence of the difference in the good direction; below 0 it is a loss.
        is_guardrail: rows that have a verdict.
    """
    has_passed = non_inferiority < alpha
    verdict = np.where(has_passed, _Status.PASSED, np.where(best_gain < 0, _Status.FAILED, _Status.INCONCLUSIVE))
    codes = np.where(is_guardrail & ~np.isnan(non_inferiority), verdict, _Status.NONE)
    return choose(codes, [None, *(one.name.lower() for one in list(_Status)[1:])])
