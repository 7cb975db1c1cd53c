"""CUPED from sums against the same on single users, and where there is nothing to adjust by."""

import numpy as np
import pytest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from experiment_stats.comparisons import MetricType
from experiment_stats.moments import Moments
from tests.experiment_stats.moments_given import joined, moments, numbers, row

MEAN = MetricType.MEAN


def users(random: np.random.Generator, count: int, shift: float, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    before = random.gamma(2, 3, count)
    return before, 4 + 0.8 * before + random.normal(0, noise, count) + shift


def arms(seed: int = 1, noise: float = 1.0) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    return users(random, 700, 0.3, noise), users(random, 500, 0, noise)


def test_adjusted_test_agrees_with_one_on_adjusted_users() -> None:
    (x_t, y_t), (x_c, y_c) = arms()

    found = row(MEAN, moments(y_t, covariate=x_t), moments(y_c, covariate=x_c))

    x, y = np.concatenate([x_t, x_c]), np.concatenate([y_t, y_c])
    theta = np.cov(y, x)[0, 1] / x.var(ddof=1)
    treatment, control = y_t - theta * (x_t - x.mean()), y_c - theta * (x_c - x.mean())
    oracle = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    statistic, p_value, degrees = oracle.ttest_ind(usevar="unequal")
    assert found["is_cuped_adjusted"]
    assert found["cuped_theta"] == pytest.approx(theta, rel=1e-9)
    assert (found["test_statistic"], found["p_value"]) == pytest.approx((statistic, p_value), rel=1e-8)
    assert found["degrees_of_freedom"] == pytest.approx(degrees, rel=1e-8)
    raw = y_t.var(ddof=1) / 700 + y_c.var(ddof=1) / 500
    assert found["variance_reduction"] == pytest.approx(1 - found["absolute_std_error"] ** 2 / raw, rel=1e-8)


def test_lift_is_over_the_unadjusted_control_mean_with_its_covariance() -> None:
    """The gradient of d / y_c on the means of both arms before and after, with their covariance matrices."""
    (x_t, y_t), (x_c, y_c) = arms()

    found = row(MEAN, moments(y_t, covariate=x_t), moments(y_c, covariate=x_c))

    theta, mean, difference = found["cuped_theta"], y_c.mean(), found["absolute_difference"]
    of_control = np.array([-(mean + difference) / mean**2, theta / mean])
    of_treatment = np.array([1 / mean, -theta / mean])
    variance = (
        of_control @ (np.cov(y_c, x_c) / 500) @ of_control + of_treatment @ (np.cov(y_t, x_t) / 700) @ of_treatment
    )
    assert found["relative_lift"] == pytest.approx(difference / mean, rel=1e-9)
    assert found["relative_std_error"] == pytest.approx(np.sqrt(variance), rel=1e-8)


def test_proportions_are_adjusted_with_their_own_variance() -> None:
    random = np.random.default_rng(2)
    before = random.binomial(1, 0.4, 3000)
    after = random.binomial(1, 0.2 + 0.4 * before)

    halves = slice(1500), slice(1500, None)
    found = row(MetricType.PROPORTION, *(moments(after[half], covariate=before[half]) for half in halves))

    share = after[:1500].mean(), after[1500:].mean()
    assert found["is_cuped_adjusted"]
    expected = 0.0
    for p, part in zip(share, halves, strict=True):
        covariance = np.cov(after[part], before[part])
        theta = found["cuped_theta"]
        expected += (p * (1 - p) + theta**2 * covariance[1, 1] - 2 * theta * covariance[0, 1]) / 1500
    assert found["absolute_std_error"] == pytest.approx(np.sqrt(expected), rel=1e-9)


@pytest.mark.parametrize(
    "covariate",
    [np.zeros(700), np.full(700, 3.0), 1e9 + np.arange(700.0)],
    ids=["users without history", "the same for all", "variance lost in rounding"],
)
def test_covariate_that_tells_nothing_adjusts_nothing(covariate: np.ndarray) -> None:
    (_, y_t), (_, y_c) = arms()

    found = row(MEAN, moments(y_t, covariate=covariate), moments(y_c, covariate=covariate[:500]))

    without = row(MEAN, moments(y_t), moments(y_c))
    assert not found["is_cuped_adjusted"]
    assert found["cuped_theta"] == found["variance_reduction"] == 0
    assert numbers(found) == pytest.approx(numbers(without), nan_ok=True)


def test_covariate_that_is_the_metric_adjusts_nothing() -> None:
    values = np.random.default_rng(4).normal(3, 1, 300)

    found = row(MEAN, moments(values, covariate=values), moments(values[::-1] + 0.1, covariate=values[::-1] + 0.1))

    assert not found["is_cuped_adjusted"]
    assert found["status"] == "ok"


def test_sums_of_a_covariate_that_cannot_be_are_told_and_left_out() -> None:
    impossible = Moments.of(
        500,
        500.0,
        main_sum_squares=1000.0,
        covariate_sum=500.0,
        covariate_sum_squares=1000.0,
        main_covariate_sum_product=9000.0,
    )

    found = row(MEAN, impossible, impossible)

    assert found["status"] == "ok"
    assert found["validation_failures"] == ("invalid_covariate",)
    assert not found["is_cuped_adjusted"]


def test_ratios_and_sparse_proportions_are_not_adjusted() -> None:
    denominators, values = np.arange(1.0, 61), np.arange(60.0)

    ratio = row(MetricType.RATIO, *[moments(values, denominators, denominators)] * 2)
    sparse = row(MetricType.PROPORTION, *[moments([1] * 5 + [0] * 95, covariate=np.arange(100))] * 2)

    assert not ratio["is_cuped_adjusted"]
    assert np.isnan(ratio["cuped_theta"])
    assert not sparse["is_cuped_adjusted"]


@pytest.mark.parametrize("noise", [0.5, 4.0])
def test_adjustment_leaves_what_the_past_does_not_tell(noise: float) -> None:
    (x_t, y_t), (x_c, y_c) = arms(noise=noise)

    found = row(MEAN, moments(y_t, covariate=x_t), moments(y_c, covariate=x_c))

    correlation = np.corrcoef(np.concatenate([x_t, x_c]), np.concatenate([y_t, y_c]))[0, 1]
    assert found["variance_reduction"] == pytest.approx(correlation**2, abs=0.03)


def test_rows_with_and_without_a_past_stand_side_by_side() -> None:
    (x_t, y_t), (x_c, y_c) = arms()
    adjusted = moments(y_t, covariate=x_t), moments(y_c, covariate=x_c)
    plain = moments(y_t), moments(y_c)

    both = row(MEAN, joined(adjusted[0], plain[0]), joined(adjusted[1], plain[1]))

    assert numbers(both) == pytest.approx(numbers(row(MEAN, *adjusted)), nan_ok=True)
