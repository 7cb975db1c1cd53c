"""The one door: comparisons in, estimates out.

control = Moments.of(users=[44700, 44700], main_sum=[8502, 20034])
treatment = Moments.of(users=[45489, 45489], main_sum=[8279, 20119])
estimates = analyse(Comparisons.of(MetricType.PROPORTION, treatment, control, family=0))
estimates.relative_lift, estimates.p_value_adjusted, estimates.status
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from experiment_stats import bayes, planning, proportions, sequential
from experiment_stats.arrays import Floats, Integers, Objects, choose
from experiment_stats.comparisons import (
    DEFAULT_TARGET_RELATIVE_EFFECT,
    DEFAULT_TUNING_USERS,
    Comparisons,
    Correction,
    MetricType,
    PosteriorScale,
    RelativeMethod,
)
from experiment_stats.contrasts import Contrasts, contrasts
from experiment_stats.corrections import adjusted_p_values
from experiment_stats.estimates import Estimates
from experiment_stats.fixed_horizon import LIFT_METHODS, TEST_METHODS, FixedHorizon, fixed_horizon
from experiment_stats.guardrails import guardrail_statuses, non_inferiority_p_value
from experiment_stats.relative import delta, fieller, oriented
from experiment_stats.validity import UNTESTABLE, Reason, statuses, validation_failures

_BLOCK_ROWS = 1 << 14
"""Rows that are computed at a time: what one step leaves is still in the processor's cache for the next."""

Columns = dict[str, npt.NDArray[Any]]


def analyse(comparisons: Comparisons) -> Estimates:
    """Everything that is known about each comparison, in the order they were given.

    No row fails the others: what cannot be answered is NULL, and `status` and `validation_failures` say why.
    """
    blocks = [
        _row_by_row(comparisons.take(slice(begin, begin + _BLOCK_ROWS)))
        for begin in range(0, max(len(comparisons), 1), _BLOCK_ROWS)
    ]
    columns = {name: np.concatenate([block.pop(name) for block in blocks]) for name in list(blocks[0])}
    columns["sequential_p_value"] = sequential.running_p_values(
        columns["sequential_p_value"], comparisons.series, comparisons.as_of
    )
    return Estimates(**columns, **_decisions(comparisons, columns["p_value"], columns["sequential_p_value"]))


def _decisions(comparisons: Comparisons, p_values: Floats, always_valid: Floats) -> Columns:
    """What depends on the other rows: guardrails stand outside their family and are not corrected."""
    correction = np.where(comparisons.is_guardrail, Correction.NONE, comparisons.correction)
    adjusted, adjusted_always_valid = (
        adjusted_p_values(values, comparisons.family, correction) for values in (p_values, always_valid)
    )
    return {
        "p_value_adjusted": adjusted,
        "correction_method": choose(correction, [one.name.lower() for one in Correction]),
        "is_significant": _nullable(adjusted < comparisons.alpha, adjusted),
        "sequential_p_value_adjusted": adjusted_always_valid,
        "is_significant_sequential": _nullable(adjusted_always_valid <= comparisons.alpha, adjusted_always_valid),
    }


def _row_by_row(comparisons: Comparisons) -> Columns:
    """Every column that a row has by itself."""
    # Division by zero and NaN are answers here: rows they make are NULL, and their reasons are found beforehand.
    with np.errstate(all="ignore"):
        rows = contrasts(comparisons)
        fixed = fixed_horizon(comparisons, rows)
        columns = {
            **_fixed_columns(comparisons, rows, fixed),
            **_sequential_columns(comparisons, rows),
            **_bayes_columns(comparisons, rows, fixed),
            **_cuped_columns(comparisons, rows),
        }
        columns |= _guardrail_columns(comparisons, rows, columns)
        columns |= _planning_columns(comparisons, rows)
    _remove_what_is_no_number(columns, (rows.reasons & UNTESTABLE) != 0)
    reasons = rows.reasons | _reasons_of_absence(columns, rows)
    is_lift_known = ~np.isnan(columns["relative_ci_lower"])
    return {
        **columns,
        "relative_ci_method": choose(np.where(is_lift_known, fixed.lift_method, 0), LIFT_METHODS),
        "test_method": choose(np.where(np.isnan(columns["p_value"]), 0, 1 + rows.is_score), TEST_METHODS),
        "status": statuses(reasons),
        "validation_failures": validation_failures(reasons),
    }


_BY_THE_BASELINE = (
    ("relative_ci_lower", Reason.BASELINE_NOT_DISTINCT_FROM_ZERO),
    ("sequential_relative_ci_lower", Reason.SEQUENTIAL_BASELINE_NOT_DISTINCT_FROM_ZERO),
    ("posterior_mean", Reason.POSTERIOR_BASELINE_NOT_DISTINCT_FROM_ZERO),
)


def _reasons_of_absence(columns: Columns, rows: Contrasts) -> Integers:
    """Why numbers are NULL in rows that can be tested."""
    is_testable = (rows.reasons & UNTESTABLE) == 0
    is_tested = ~np.isnan(columns["p_value"])
    is_lost = is_testable & ~is_tested & ((rows.reasons & Reason.ZERO_VARIANCE) == 0)
    reasons = np.where(is_lost, int(Reason.NUMERICALLY_UNSTABLE), 0)
    has_baseline = is_tested & ((rows.reasons & Reason.BASELINE_ZERO) == 0)
    for name, reason in _BY_THE_BASELINE:
        reasons |= np.where(has_baseline & np.isnan(columns[name]), int(reason), 0)
    return reasons


def _fixed_columns(comparisons: Comparisons, rows: Contrasts, fixed: FixedHorizon) -> Columns:
    return {
        "absolute_difference": rows.difference,
        "absolute_std_error": rows.std_error,
        "absolute_ci_lower": fixed.difference_limits[0],
        "absolute_ci_upper": fixed.difference_limits[1],
        "relative_lift": fixed.lift,
        "relative_std_error": fixed.lift_std_error,
        "relative_ci_lower": fixed.lift_limits[0],
        "relative_ci_upper": fixed.lift_limits[1],
        "test_statistic": fixed.statistic,
        "degrees_of_freedom": fixed.degrees_of_freedom,
        "p_value": fixed.p_value,
        "alpha": comparisons.alpha,
    }


def _sequential_columns(comparisons: Comparisons, rows: Contrasts) -> Columns:
    tuning = np.where(np.isnan(comparisons.tuning_users), DEFAULT_TUNING_USERS, comparisons.tuning_users)
    k = sequential.mixture_size(rows.control_users + rows.treatment_users, tuning, comparisons.alpha)
    std_error = rows.guarded_std_error
    critical = sequential.critical_value(k, comparisons.alpha)
    reach = critical * std_error
    signed, errors = rows.signed_lift, rows.relative_errors(is_guarded=True)
    is_delta = comparisons.relative_method == RelativeMethod.DELTA
    by_fieller, by_delta = fieller(signed, errors, critical), delta(signed, errors, critical)
    lower, upper = (
        np.where(np.isnan(std_error), np.nan, np.where(is_delta, d, f))
        for d, f in zip(by_delta, by_fieller, strict=True)
    )
    lower, upper = oriented((lower, upper), rows.control_mean)
    return {
        "sequential_p_value": sequential.p_value(sequential.log_e_value(rows.difference / std_error, k)),
        "sequential_ci_lower": rows.difference - reach,
        "sequential_ci_upper": rows.difference + reach,
        "sequential_relative_ci_lower": lower,
        "sequential_relative_ci_upper": upper,
        "sequential_tuning_parameter": tuning,
    }


def _bayes_columns(comparisons: Comparisons, rows: Contrasts, fixed: FixedHorizon) -> Columns:
    """The posterior on its scale; where the lift has none, the chance to win is that of the difference."""
    is_proper = np.isfinite(comparisons.prior_std_dev)
    prior_mean = np.where(np.isnan(comparisons.prior_mean), 0.0, comparisons.prior_mean)
    std_error, signed = rows.guarded_std_error, rows.signed_lift
    errors = rows.relative_errors(is_guarded=True)
    is_noisy = (fixed.critical * fixed.critical * errors.control >= 1) & (
        comparisons.relative_method == RelativeMethod.FIELLER
    )
    baseline = np.abs(rows.control_mean)
    absolute = bayes.posterior(
        rows.difference, std_error**2, prior_mean * baseline, comparisons.prior_std_dev * baseline
    )
    relative = bayes.posterior(fixed.lift, errors.variance_of_lift(signed), prior_mean, comparisons.prior_std_dev)
    is_relative = comparisons.posterior_scale == PosteriorScale.RELATIVE
    has_lift = (relative[1] > 0) & ~is_noisy & ~np.isnan(std_error)
    is_defined = np.where(is_relative, has_lift, absolute[1] > 0)
    mean, std_dev = (
        np.where(is_defined, np.where(is_relative, lift, difference), np.nan)
        for lift, difference in zip(relative, absolute, strict=True)
    )
    is_good = comparisons.is_increase_good
    chance = bayes.chance_to_win(mean, std_dev, is_good)
    reach = proportions.critical_value(comparisons.alpha) * std_dev
    return {
        "chance_to_win": np.where(np.isnan(chance), bayes.chance_to_win(*absolute, is_good), chance),
        "expected_loss": bayes.expected_loss(mean, std_dev, is_good),
        "posterior_mean": mean,
        "posterior_std_dev": std_dev,
        "credible_interval_lower": mean - reach,
        "credible_interval_upper": mean + reach,
        "prior_mean": prior_mean,
        "prior_std_dev": np.where(is_proper, comparisons.prior_std_dev, np.nan),
        "prior_is_proper": is_proper,
    }


def _cuped_columns(comparisons: Comparisons, rows: Contrasts) -> Columns:
    is_known = np.isfinite(rows.difference) & (comparisons.metric_type != MetricType.RATIO)
    return {
        "is_cuped_adjusted": rows.adjustment.is_adjusted & is_known,
        "cuped_theta": np.where(is_known, rows.adjustment.theta, np.nan),
        "variance_reduction": np.where(is_known, rows.variance_reduction, np.nan),
    }


def _guardrail_columns(comparisons: Comparisons, rows: Contrasts, columns: Columns) -> Columns:
    margin, is_good = comparisons.non_inferiority_margin, comparisons.is_increase_good
    p_values = non_inferiority_p_value(rows.difference, rows.guarded_std_error, margin, is_good)
    best_gain = np.where(is_good, columns["sequential_ci_upper"], -columns["sequential_ci_lower"])
    return {
        "non_inferiority_margin": margin,
        "non_inferiority_p_value": p_values,
        "guardrail_status": guardrail_statuses(p_values, comparisons.alpha, best_gain, comparisons.is_guardrail),
    }


def _planning_columns(comparisons: Comparisons, rows: Contrasts) -> Columns:
    alpha, power, baseline = comparisons.alpha, comparisons.power, np.abs(rows.control_mean)
    target = comparisons.target_relative_effect
    target = np.where(np.isnan(target), DEFAULT_TARGET_RELATIVE_EFFECT, target)
    users = planning.required_users(
        rows.guarded_control_error * rows.control_users,
        rows.guarded_treatment_error * rows.treatment_users,
        target * baseline,
        alpha=alpha,
        power=power,
        treatment_per_control=rows.treatment_users / rows.control_users,
    )
    detectable = planning.minimum_detectable_effect(rows.guarded_std_error, alpha=alpha, power=power)
    return {
        "mde_relative": detectable / baseline,
        "required_users": users[0] + users[1],
        "runtime_days": planning.runtime_days(users[0] + users[1], comparisons.daily_users),
    }


_GIVEN = frozenset({"alpha", "sequential_tuning_parameter", "prior_mean", "prior_std_dev", "non_inferiority_margin"})
"""Columns that repeat what was asked, and stand in rows without an answer, too."""


_TOGETHER = (
    ("absolute_ci_lower", "absolute_ci_upper"),
    ("relative_ci_lower", "relative_ci_upper"),
    ("sequential_ci_lower", "sequential_ci_upper"),
    ("sequential_relative_ci_lower", "sequential_relative_ci_upper"),
    ("posterior_mean", "posterior_std_dev", "credible_interval_lower", "credible_interval_upper", "expected_loss"),
)
"""Columns that are numbers or NULL together."""


def _remove_what_is_no_number(columns: Columns, is_untestable: npt.NDArray[np.bool_]) -> None:
    """NaN for infinity, for half of an interval, and for every number of a row that cannot be tested."""
    for name, values in columns.items():
        if values.dtype == np.float64:
            is_kept = np.isfinite(values)
            columns[name] = np.where(is_kept if name in _GIVEN else is_kept & ~is_untestable, values, np.nan)
    for names in _TOGETHER:
        is_missing = np.logical_or.reduce([np.isnan(columns[name]) for name in names])
        for name in names:
            columns[name] = np.where(is_missing, np.nan, columns[name])


def _nullable(flags: npt.NDArray[np.bool_], values: Floats) -> Objects:
    return choose(np.where(np.isnan(values), 2, flags), [False, True, None])
