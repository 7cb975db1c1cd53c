"""What cannot be tested is NULL and says why; what can be is a number: the edges, one after the other."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from experiment_stats.comparisons import MetricType, PosteriorScale
from experiment_stats.moments import Moments
from tests.experiment_stats.moments_given import converted, moments, numbers, row, summed

PROPORTION, MEAN, RATIO = MetricType
ABSOLUTE = ("absolute_difference", "absolute_ci_lower", "absolute_ci_upper", "p_value", "sequential_p_value")
RELATIVE = ("relative_lift", "relative_ci_lower", "relative_ci_upper")
RELATIVE_CI = ("relative_ci_lower", "relative_ci_upper")


def has(found: dict, *names: str) -> bool:
    return all(math.isfinite(found[name]) for name in names)


def has_none(found: dict, *names: str) -> bool:
    return all(math.isnan(found[name]) for name in names)


def is_null(found: dict) -> bool:
    """No number anywhere, and no verdict."""
    verdicts = ("is_significant", "is_significant_sequential", "guardrail_status", "test_method", "relative_ci_method")
    return has_none(found, *numbers(found)) and all(found[name] is None for name in verdicts)


@pytest.mark.parametrize("users", [0, 1])
@pytest.mark.parametrize("kind", [PROPORTION, MEAN])
def test_arm_without_two_users_has_no_inference(kind: MetricType, users: int) -> None:
    few, many = Moments.of(users, users, main_sum_squares=users), summed(1000, 0.3, 0.2)

    found = [row(kind, few, many), row(kind, many, few)]

    assert [one["status"] for one in found] == ["insufficient_data"] * 2
    assert all(is_null(one) for one in found)


def test_arm_without_users_is_insufficient_when_its_sums_are_absent() -> None:
    found = row(MEAN, Moments.of(0, np.nan), summed(1000, 0.3, 0.2))

    assert found["status"] == "insufficient_data"
    assert is_null(found)


def test_zero_conversions_in_the_control_only_leave_the_difference() -> None:
    found = row(PROPORTION, converted(30, 1000), converted(0, 1000))

    z = 0.03 / math.sqrt(0.015 * 0.985 * 2 / 1000)
    assert found["status"] == "baseline_zero"
    assert found["test_method"] == "score"
    assert found["p_value"] == pytest.approx(2 * norm.sf(z), rel=1e-9)
    assert has(found, *ABSOLUTE)
    assert found["absolute_ci_lower"] > 0
    assert has_none(found, *RELATIVE, "sequential_relative_ci_lower", "posterior_mean")
    assert found["chance_to_win"] > 0.999


def test_zero_conversions_in_the_treatment_only_are_a_lift_of_minus_one() -> None:
    found = row(PROPORTION, converted(0, 1000), converted(30, 1000))

    assert found["status"] == "ok"
    assert found["relative_lift"] == found["relative_ci_lower"] == -1
    assert -1 < found["relative_ci_upper"] < 0
    assert found["p_value"] < 1e-6
    assert found["chance_to_win"] < 0.001


@pytest.mark.parametrize("conversions", [(0, 0), (1000, 800)])
def test_both_arms_alike_without_variance_have_no_p_value(conversions: tuple[int, int]) -> None:
    treatment, control = conversions

    found = row(PROPORTION, converted(treatment, 1000), converted(control, 800 if control else 1000))

    assert found["status"] == "zero_variance"
    assert found["absolute_difference"] == 0
    assert found["absolute_ci_lower"] < 0 < found["absolute_ci_upper"]
    assert has_none(found, "p_value", "p_value_adjusted", "sequential_p_value", "chance_to_win", "absolute_std_error")
    assert found["is_significant"] is None


@pytest.mark.parametrize("values", [(5, 5), (19.99, 19.99), (5, 6), (0, 0), (-3, -3)])
def test_constant_metric_has_an_effect_and_no_test(values: tuple[float, float]) -> None:
    treatment, control = values

    found = row(MEAN, moments([treatment] * 1000), moments([control] * 700))

    assert found["status"] == "zero_variance"
    assert found["absolute_difference"] == pytest.approx(treatment - control, abs=1e-12)
    assert has_none(found, "p_value", "absolute_ci_lower", "sequential_p_value", "chance_to_win", "mde_relative")


def test_all_against_none_is_tested_by_the_pooled_score() -> None:
    found = row(PROPORTION, converted(50, 50), converted(0, 50))

    assert found["test_method"] == "score"
    assert found["test_statistic"] == pytest.approx(10.0)
    assert has(found, *ABSOLUTE)


def test_one_constant_arm_is_tested_against_the_other() -> None:
    values = np.random.default_rng(1).normal(5.5, 1, 400)

    found = row(MEAN, moments(values), moments([5.0] * 300))

    assert found["status"] == "ok"
    assert found["degrees_of_freedom"] == pytest.approx(399)
    assert has(found, *ABSOLUTE, *RELATIVE)


def test_control_mean_of_zero_with_variance_leaves_the_difference() -> None:
    found = row(MEAN, summed(1000, 0.2, 2), summed(1000, 0, 2))

    assert found["status"] == "baseline_zero"
    assert found["p_value"] == pytest.approx(0.0016, abs=2e-4)
    assert has(found, *ABSOLUTE, "chance_to_win")
    assert has_none(found, *RELATIVE, "posterior_mean", "mde_relative", "required_users")


def test_prior_on_the_lift_says_nothing_without_a_baseline() -> None:
    found = row(MEAN, summed(1000, 0.2, 2), summed(1000, 0, 2), prior_std_dev=0.3)

    assert has_none(found, "chance_to_win", "expected_loss", "posterior_mean", "posterior_std_dev")


def test_negative_control_mean_makes_an_improvement_positive() -> None:
    found = row(MEAN, summed(1000, -0.9, 2), summed(1000, -1, 1))
    mirrored = row(MEAN, summed(1000, 0.9, 2), summed(1000, 1, 1))

    assert found["status"] == "ok"
    assert found["relative_lift"] == pytest.approx(0.1)
    limits = (found["relative_ci_lower"], found["relative_ci_upper"])
    assert limits == pytest.approx((-mirrored["relative_ci_upper"], -mirrored["relative_ci_lower"]))
    assert limits[0] < 0.1 < limits[1]
    assert found["chance_to_win"] == pytest.approx(1 - mirrored["chance_to_win"])


def test_noisy_control_mean_has_no_relative_interval() -> None:
    found = row(MEAN, summed(100, 3, 25), summed(100, 0.5, 25))

    assert found["status"] == "baseline_not_distinct_from_zero"
    assert has(found, *ABSOLUTE, "relative_lift", "chance_to_win")
    assert has_none(found, *RELATIVE_CI, "posterior_mean", "expected_loss", "credible_interval_lower")
    assert found["relative_ci_method"] is None


def test_difference_has_its_posterior_whatever_the_baseline() -> None:
    found = row(MEAN, summed(100, 3, 25), summed(100, 0.5, 25), posterior_scale=PosteriorScale.ABSOLUTE)

    assert found["posterior_mean"] == 2.5
    assert has(found, "expected_loss", "credible_interval_lower")


def test_sparse_proportions_have_a_relative_interval_where_the_sequential_one_is_undefined() -> None:
    found = row(PROPORTION, converted(9, 1000), converted(4, 1000))

    assert found["status"] == "ok"
    assert found["relative_ci_method"] == "mover_r"
    assert has(found, *RELATIVE)
    assert has_none(found, "sequential_relative_ci_lower", "posterior_mean")
    assert found["validation_failures"] == (
        "low_counts",
        "sequential_baseline_not_distinct_from_zero",
        "posterior_baseline_not_distinct_from_zero",
    )


GOOD = summed(1000, 0.3, 0.2)


@pytest.mark.parametrize(
    ("kind", "arm"),
    [
        (PROPORTION, converted(1001, 1000)),
        (PROPORTION, converted(-1, 1000)),
        (PROPORTION, converted(10, 1000.5)),
        (PROPORTION, converted(10, -1000)),
        (PROPORTION, converted(10, math.inf)),
        (PROPORTION, converted(10, 2.0**54)),
        (MEAN, Moments.of(1000, 3000, main_sum_squares=8999)),
        (MEAN, Moments.of(1000, 3000, main_sum_squares=-1)),
        (MEAN, Moments.of(1000, 1e151, main_sum_squares=1.1e300)),
        (MEAN, Moments.of(1000, math.inf, main_sum_squares=1)),
        (
            RATIO,
            Moments.of(
                9,
                9,
                main_sum_squares=18,
                denominator_sum=9,
                denominator_sum_squares=18,
                main_denominator_sum_product=1e6,
            ),
        ),
    ],
)
def test_sums_that_cannot_be_are_refused(kind: MetricType, arm: Moments) -> None:
    good = moments([1, 2, 3, 4], [2, 3, 2, 1]) if kind == RATIO else GOOD

    found = [row(kind, arm, good), row(kind, good, arm)]

    assert [one["status"] for one in found] == ["invalid_input"] * 2
    assert all(is_null(one) for one in found)


@pytest.mark.parametrize(
    "setting",
    [
        {"alpha": 0},
        {"alpha": 1},
        {"alpha": np.nan},
        {"prior_std_dev": 0},
        {"tuning_users": 0},
        {"non_inferiority_margin": -1},
    ],
)
def test_settings_that_cannot_be_are_refused(setting: dict) -> None:
    found = row(MEAN, GOOD, GOOD, **setting)

    assert found["status"] == "invalid_input"
    assert is_null(found)


@pytest.mark.parametrize(
    ("kind", "arm"),
    [
        (PROPORTION, converted(np.nan, 1000)),
        (PROPORTION, converted(10, np.nan)),
        (MEAN, Moments.of(1000, 10)),
        (MEAN, Moments.of(1000, np.nan, main_sum_squares=9)),
        (RATIO, GOOD),
    ],
)
def test_absent_sums_leave_the_row_null(kind: MetricType, arm: Moments) -> None:
    found = row(kind, arm, arm)

    assert found["status"] == "missing_data"
    assert is_null(found)


@pytest.mark.parametrize(("mean", "variance"), [(1e6, 1.0), (1e9, 1.0), (1e5, 0.9), (-1e5, 0.9)])
def test_variance_lost_in_rounding_is_not_tested_with(mean: float, variance: float) -> None:
    found = row(MEAN, summed(1000, mean, variance), summed(1000, mean, variance))

    assert found["status"] == "numerically_unstable"
    assert is_null(found)


def test_large_mean_with_its_variance_intact_is_tested() -> None:
    found = row(MEAN, summed(1000, 9.99e3, 1.0), summed(1000, 9.989e3, 1.0))

    assert found["status"] == "ok"
    assert found["test_statistic"] == pytest.approx(22.36, abs=0.01)


def test_p_values_are_right_down_to_the_smallest_number() -> None:
    found = row(MEAN, summed(1e6, 0.0371, 0.5), summed(1e6, 0, 0.5))

    z = 37.1
    logarithm = norm.logsf(z) + math.log(2)
    assert 0 < found["p_value"] < 1e-299
    # Student's tails with 2e6 degrees of freedom are heavier by z^4 / (4 df).
    assert math.log(found["p_value"]) == pytest.approx(logarithm + z**4 / (4 * found["degrees_of_freedom"]), abs=1e-3)


def test_evidence_beyond_the_largest_number_is_no_overflow() -> None:
    found = row(MEAN, summed(1e6, 1, 0.5), summed(1e6, 0.5, 0.5))

    assert found["sequential_p_value"] == 0
    assert found["p_value"] == 0
    assert found["is_significant_sequential"] is True


@pytest.mark.parametrize(("treatment", "chance"), [(1.0, 1.0), (0.1, 0.0)])
def test_certain_posterior_has_no_nan(treatment: float, chance: float) -> None:
    found = row(MEAN, summed(1e6, treatment, 0.5), summed(1e6, 0.5, 0.5))

    assert abs(found["posterior_mean"] / found["posterior_std_dev"]) > 37
    assert found["chance_to_win"] == chance
    assert found["expected_loss"] == (0 if chance else pytest.approx(0.8))


def test_denominator_of_zero_leaves_the_row_null() -> None:
    found = row(RATIO, moments([1, 2, 3], [1, 2, 2]), moments([0, 0, 0], [0, 0, 0]))

    assert found["status"] == "denominator_zero"
    assert is_null(found)


def test_same_ratio_of_every_user_is_a_constant_metric() -> None:
    denominators = np.arange(1.0, 50)

    found = row(RATIO, moments(denominators * 0.3, denominators), moments(denominators * 0.3, denominators))

    assert found["status"] == "zero_variance"
    assert found["absolute_difference"] == 0


@pytest.mark.parametrize(
    ("kind", "arms", "is_low"),
    [
        (PROPORTION, (converted(80, 1000), converted(80, 1000)), False),
        (PROPORTION, (converted(74, 1000), converted(75, 1000)), True),
        (PROPORTION, (converted(9, 1000), converted(200, 1000)), True),
        (PROPORTION, (converted(995, 1000), converted(900, 1000)), True),
        (MEAN, (summed(9, 30, 5), summed(500, 30, 5)), True),
        (MEAN, (summed(500, 0.1, 5), summed(500, 0.1, 5)), True),
        (MEAN, (summed(500, 0.3, 5), summed(500, 0.3, 5)), False),
    ],
)
def test_low_counts_are_flagged_and_shown(kind: MetricType, arms: tuple, is_low: bool) -> None:
    found = row(kind, *arms)

    assert ("low_counts" in found["validation_failures"]) is is_low
    assert has(found, *ABSOLUTE)
    assert found["status"] != "low_counts"
