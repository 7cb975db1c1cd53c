"""Agreement with the formulas that GrowthBook publishes, to a millionth."""

import numpy as np
import pytest

from experiment_stats.comparisons import MetricType, PosteriorScale, RelativeMethod
from experiment_stats.moments import Moments
from tests.experiment_stats.moments_given import converted, moments, row, summed
from tests.experiment_stats.published_formulas import (
    Arm,
    chance_and_risk,
    posterior,
    ratio,
    relative_effect,
    sequential_interval,
    sequential_p_value,
    welch,
)

PROPORTIONS = [
    ((1000, 100), (1000, 120)),
    ((44700, 8502), (45489, 8279)),
    ((90_000, 30), (10_000, 12)),
    ((40, 20), (30, 19)),
]
MEANS = [
    (Arm(500, 10.2, 30.1), Arm(800, 11.9, 44.0)),
    (Arm(12, 3.1, 0.4), Arm(9, 2.9, 8.8)),
    (Arm(1_050_994, 0.586, 0.2424), Arm(1_050_508, 0.590, 0.2423)),
    (Arm(2000, -1.5, 2.0), Arm(2100, -1.2, 2.2)),
    (Arm(50, 7.0, 1.0), Arm(60, 27.0, 1.1)),
]
ALPHAS = [0.05, 0.01, 0.2]


def cases() -> list[tuple[MetricType, tuple[Moments, Moments], tuple[Arm, Arm]]]:
    """Control and treatment, as moments and as the published formulas take them."""
    made = []
    for control, treatment in PROPORTIONS:
        arms = tuple(Arm(n, x / n, x / n * (1 - x / n)) for n, x in (control, treatment))
        made.append((MetricType.PROPORTION, tuple(converted(x, n) for n, x in (control, treatment)), arms))
    for pair in MEANS:
        made.append((MetricType.MEAN, tuple(summed(arm.users, arm.mean, arm.variance) for arm in pair), pair))
    random = np.random.default_rng(5)
    observed, published = [], []
    for share in (0.3, 0.34):
        orders = random.poisson(2, 900)
        spent = random.binomial(orders, share) * random.exponential(20, 900)
        observed.append(moments(spent, orders))
        covariance = np.cov(spent, orders)
        m, d = (Arm(900, x.mean(), v) for x, v in ((spent, covariance[0, 0]), (orders, covariance[1, 1])))
        published.append(ratio(900, m, d, covariance[0, 1]))
    return [*made, (MetricType.RATIO, tuple(observed), tuple(published))]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("kind", "arms", "published"), cases())
def test_fixed_horizon_agrees(kind: MetricType, arms: tuple, published: tuple, alpha: float) -> None:
    control, treatment = arms

    found = row(kind, treatment, control, alpha=alpha, relative_method=RelativeMethod.DELTA)

    p_value, degrees, (lower, upper) = welch(*published, alpha)
    lift, error = relative_effect(*published)
    assert found["test_method"] == "welch"
    assert (found["p_value"], found["degrees_of_freedom"]) == pytest.approx((p_value, degrees), rel=1e-6)
    assert (found["absolute_ci_lower"], found["absolute_ci_upper"]) == pytest.approx((lower, upper), rel=1e-6)
    assert (found["relative_lift"], found["relative_std_error"]) == pytest.approx((lift, error), rel=1e-6)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("tuning", [500.0, 5000.0, 1e6])
@pytest.mark.parametrize(("kind", "arms", "published"), cases())
def test_confidence_sequence_agrees(
    kind: MetricType, arms: tuple, published: tuple, alpha: float, tuning: float
) -> None:
    control, treatment = arms
    difference = published[1].mean - published[0].mean
    error = np.sqrt(sum(arm.variance / arm.users for arm in published))

    delta = RelativeMethod.DELTA
    found = row(kind, treatment, control, alpha=alpha, tuning_users=tuning, relative_method=delta)

    of_difference = sequential_interval(*published, difference, error, alpha, tuning)
    of_lift = sequential_interval(*published, *relative_effect(*published), alpha, tuning)
    p_value = sequential_p_value(*published, difference, error, alpha, tuning)
    assert (found["sequential_ci_lower"], found["sequential_ci_upper"]) == pytest.approx(of_difference, rel=1e-6)
    relative = (found["sequential_relative_ci_lower"], found["sequential_relative_ci_upper"])
    assert relative == pytest.approx(of_lift, rel=1e-6)
    assert found["sequential_p_value"] == pytest.approx(p_value, rel=1e-6)


@pytest.mark.parametrize("prior", [(0.0, 0.3), (0.05, 0.02)])
@pytest.mark.parametrize(("kind", "arms", "published"), cases())
def test_posterior_of_the_lift_agrees(kind: MetricType, arms: tuple, published: tuple, prior: tuple) -> None:
    control, treatment = arms

    delta = RelativeMethod.DELTA
    found = row(kind, treatment, control, prior_mean=prior[0], prior_std_dev=prior[1], relative_method=delta)

    mean, std_dev = posterior(*relative_effect(*published), *prior)
    chance, risk = chance_and_risk(mean, std_dev)
    assert (found["posterior_mean"], found["posterior_std_dev"]) == pytest.approx((mean, std_dev), rel=1e-6)
    assert found["chance_to_win"] == pytest.approx(chance, rel=1e-6)
    if mean / std_dev < 5:  # Beyond, the truncated normal of scipy has lost the digits.
        assert found["expected_loss"] == pytest.approx(risk, rel=1e-6)
    limits = (mean - 1.959963984540054 * std_dev, mean + 1.959963984540054 * std_dev)
    assert (found["credible_interval_lower"], found["credible_interval_upper"]) == pytest.approx(limits, rel=1e-6)


@pytest.mark.parametrize(("kind", "arms", "published"), cases())
def test_posterior_of_the_difference_has_the_prior_in_units_of_the_metric(
    kind: MetricType, arms: tuple, published: tuple
) -> None:
    control, treatment = arms
    baseline = abs(published[0].mean)
    error = np.sqrt(sum(arm.variance / arm.users for arm in published))

    scale = PosteriorScale.ABSOLUTE
    found = row(kind, treatment, control, prior_mean=0.1, prior_std_dev=0.3, posterior_scale=scale)

    difference = published[1].mean - published[0].mean
    expected = posterior(difference, error, 0.1 * baseline, 0.3 * baseline)
    assert (found["posterior_mean"], found["posterior_std_dev"]) == pytest.approx(expected, rel=1e-6)


def test_flat_prior_leaves_the_estimate_as_it_is() -> None:
    found = row(MetricType.PROPORTION, converted(120, 1000), converted(100, 1000))

    assert found["posterior_mean"] == found["relative_lift"]
    assert found["posterior_std_dev"] == found["relative_std_error"]
    assert not found["prior_is_proper"]
