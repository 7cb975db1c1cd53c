"""The posterior: chance to win, expected loss and what the direction of the metric changes."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from experiment_stats.bayes import expected_loss, posterior
from experiment_stats.comparisons import MetricType
from tests.experiment_stats.moments_given import row, summed

UP = np.array([True])


@pytest.mark.parametrize("z", [-8.0, -1.0, 0.0, 0.5, 3.0, 12.0])
def test_expected_loss_is_the_mean_of_what_is_lost(z: float) -> None:
    mean, std_dev = np.array([0.02 * z]), np.array([0.02])

    found = expected_loss(mean, std_dev, UP)

    # Of effects below 0; far out, relative to the density there.
    loss, _ = quad(lambda x: x * np.exp(-x * z - x * x / 2), 0, np.inf if z >= 0 else 40, epsabs=0, limit=200)
    assert found == pytest.approx([0.02 * loss * norm.pdf(z)], rel=1e-8)


def test_loss_of_shipping_less_that_of_staying_is_the_effect() -> None:
    mean, std_dev = np.array([0.013]), np.array([0.02])

    difference = expected_loss(mean, std_dev, ~UP) - expected_loss(mean, std_dev, UP)

    assert difference == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("z", [37.1, 1e3, 1e150])
def test_loss_beyond_doubt_is_exactly_zero(z: float) -> None:
    with np.errstate(over="ignore"):
        assert expected_loss(np.array([z]), np.array([1.0]), UP).tolist() == [0]


def test_lower_is_better_swaps_the_sides() -> None:
    arms = (summed(500, 10.4, 9), summed(500, 10, 9))

    up, down = row(MetricType.MEAN, *arms), row(MetricType.MEAN, *arms, is_increase_good=False)

    assert down["chance_to_win"] == pytest.approx(1 - up["chance_to_win"])
    assert down["expected_loss"] - up["expected_loss"] == pytest.approx(up["relative_lift"])
    assert down["posterior_mean"] == up["posterior_mean"]


@pytest.mark.parametrize("prior_std_dev", [1e-200, 1e-9])
def test_prior_that_is_certain_wins_over_the_data(prior_std_dev: float) -> None:
    mean, std_dev = posterior(*(np.array([one]) for one in (0.5, 0.01, 0.1, prior_std_dev)))

    assert mean == pytest.approx([0.1])
    assert std_dev == pytest.approx([prior_std_dev])


def test_chance_to_win_without_a_prior_is_the_one_sided_p_value_of_the_difference() -> None:
    found = row(MetricType.MEAN, summed(1e5, 10.02, 9), summed(1e5, 10, 9))

    assert found["chance_to_win"] == pytest.approx(1 - found["p_value"] / 2, abs=1e-3)
