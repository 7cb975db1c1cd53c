"""Proportions against statsmodels, and when which family of tests is taken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

from experiment_stats.comparisons import MetricType
from experiment_stats.proportions import wilson
from tests.experiment_stats.moments_given import converted, row

PROPORTION = MetricType.PROPORTION
# Conversions and users of the treatment and of the control.
SPARSE = [(4, 2000, 36, 18000), (0, 50, 9, 60), (1, 10, 9, 10), (995, 1000, 960, 1000), (7, 1e6, 19, 1e6), (5, 5, 1, 5)]


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("counts", SPARSE)
def test_sparse_proportions_agree_with_statsmodels(counts: tuple, alpha: float) -> None:
    x_t, n_t, x_c, n_c = counts

    found = row(PROPORTION, converted(x_t, n_t), converted(x_c, n_c), alpha=alpha)

    statistic, p_value = proportions_ztest([x_t, x_c], [n_t, n_c])
    limits = confint_proportions_2indep(x_t, n_t, x_c, n_c, method="newcomb", compare="diff", alpha=alpha)
    assert found["test_method"] == "score"
    assert np.isnan(found["degrees_of_freedom"])
    assert (found["test_statistic"], found["p_value"]) == pytest.approx((statistic, p_value), rel=1e-9)
    assert (found["absolute_ci_lower"], found["absolute_ci_upper"]) == pytest.approx(limits, rel=1e-9)


@pytest.mark.parametrize("counts", [(1, 20), (0, 20), (20, 20), (999_999, 1_000_000), (3, 1e9)])
def test_wilson_limits_agree_with_statsmodels(counts: tuple[float, float]) -> None:
    conversions, users = (np.array([float(one)]) for one in counts)

    lower, upper = wilson(conversions, users, np.array([1.959963984540054]))

    oracle = proportion_confint(*counts, method="wilson")
    assert (lower[0], upper[0]) == pytest.approx(oracle, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("counts", [one for one in SPARSE if one[0]])
def test_ratio_limits_are_where_the_interval_of_a_weighted_difference_ends_at_zero(counts: tuple) -> None:
    """What MOVER-R solves: the interval of p_t - R p_c from the Wilson limits, as a function of R."""
    x_t, n_t, x_c, n_c = counts
    (low_t, up_t), (low_c, up_c) = (proportion_confint(x, n, method="wilson") for x, n in ((x_t, n_t), (x_c, n_c)))
    p_t, p_c = x_t / n_t, x_c / n_c

    def lower(ratio: float) -> float:
        return p_t - ratio * p_c - np.hypot(p_t - low_t, ratio * (up_c - p_c))

    def upper(ratio: float) -> float:
        return p_t - ratio * p_c + np.hypot(up_t - p_t, ratio * (p_c - low_c))

    found = row(PROPORTION, converted(x_t, n_t), converted(x_c, n_c))

    limits = (brentq(lower, 0, p_t / p_c, xtol=1e-14) - 1, brentq(upper, p_t / p_c, 1e4, xtol=1e-14) - 1)
    assert found["relative_ci_method"] == "mover_r"
    assert (found["relative_ci_lower"], found["relative_ci_upper"]) == pytest.approx(limits, rel=1e-9)


@given(counts=st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(0, 3), st.integers(0, 3)))
@settings(max_examples=200)
def test_sparse_intervals_of_difference_and_lift_agree_about_zero(counts: tuple[int, int, int, int]) -> None:
    x_t, x_c, more_t, more_c = counts

    found = row(PROPORTION, converted(x_t, x_t + 10**more_t), converted(x_c, x_c + 10**more_c))

    if found["test_method"] == "score":
        for side in ("lower", "upper"):
            difference, lift = found[f"absolute_ci_{side}"], found[f"relative_ci_{side}"]
            assert np.sign(difference) == np.sign(lift) or abs(difference) < 1e-12


@pytest.mark.parametrize(
    ("counts", "method"),
    [
        ((10, 20, 10, 20), "welch"),
        ((9, 20, 10, 20), "score"),
        ((10, 20, 9, 20), "score"),
        ((10, 19, 10, 20), "score"),
        ((10, 20, 12, 21), "score"),
    ],
)
def test_ten_conversions_and_ten_others_make_welch(counts: tuple, method: str) -> None:
    x_t, n_t, x_c, n_c = counts

    found = row(PROPORTION, converted(x_t, n_t), converted(x_c, n_c))

    assert found["test_method"] == method


def test_always_valid_interval_of_sparse_proportions_takes_the_larger_variance() -> None:
    """The pooled variance of 9/9000 and 30/1000 is an eighth of the treatment's own."""
    found = row(PROPORTION, converted(30, 1000), converted(9, 9000), tuning_users=10_000)

    own = np.sqrt(0.03 * 0.97 / 1000 + 0.001 * 0.999 / 9000)
    reach = (found["sequential_ci_upper"] - found["sequential_ci_lower"]) / 2
    assert reach > 2.9 * own
    assert found["absolute_std_error"] == pytest.approx(own)
