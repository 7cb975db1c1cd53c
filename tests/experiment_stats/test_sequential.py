"""The confidence sequence, its running p-value, and the other names under which it is known."""

import numpy as np
import pytest

from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, MetricType
from experiment_stats.sequential import critical_value, log_e_value, mixture_size, p_value, running_p_values
from tests.experiment_stats.moments_given import row, summed


@pytest.mark.parametrize(("share", "width"), [(0.1, 1.97), (1.0, 1.55), (10.0, 1.65)])
def test_width_beside_a_single_look(share: float, width: float) -> None:
    alpha = np.array([0.05])

    critical = critical_value(mixture_size(share * np.array([5000.0]), np.array([5000.0]), alpha), alpha)

    assert critical / 1.959964 == pytest.approx([width], abs=0.005)


def test_interval_excludes_zero_exactly_when_the_p_value_is_at_most_alpha() -> None:
    alpha, k = np.full(200, 0.05), np.geomspace(1e-3, 1e4, 200)
    critical = critical_value(k, alpha)

    just_in, just_out = (p_value(log_e_value(critical * factor, k)) for factor in (1 - 1e-9, 1 + 1e-9))

    assert (just_in > alpha).all()
    assert (just_out < alpha).all()


def test_evidence_is_that_of_the_mixture_sprt() -> None:
    """Johari et al.: ln E = ln(V/(V+tau^2))/2 + d^2 tau^2 / (2V(V+tau^2)), with tau^2 = V k."""
    variance, difference, k = 0.02, np.array([0.0, 0.1, 0.9]), 3.7
    tau2 = variance * k

    found = log_e_value(difference / np.sqrt(variance), np.full(3, k))

    expected = np.log(variance / (variance + tau2)) / 2
    expected = expected + difference**2 * tau2 / (2 * variance * (variance + tau2))
    assert found == pytest.approx(expected, rel=1e-12)


def test_evidence_is_the_mixture_over_normal_effects() -> None:
    """By its definition: the likelihood ratio, averaged over effects from N(0, k) in standard errors."""
    statistic, k = 2.4, 1.3
    effects = np.linspace(-30, 30, 200_001)
    density = np.exp(-(effects**2) / (2 * k)) / np.sqrt(2 * np.pi * k)

    average = np.trapezoid(np.exp(effects * statistic - effects**2 / 2) * density, effects)

    assert np.exp(log_e_value(np.array([statistic]), np.array([k]))) == pytest.approx([average], rel=1e-9)


def test_p_value_of_a_series_never_rises() -> None:
    p_values = np.array([0.5, np.nan, 0.2, 0.3, 0.01, 0.9, 0.04])
    series = np.array([7, 7, 7, 7, 7, 2, 2])
    as_of = np.array([1, 2, 3, 4, 5, 9, 1])

    running = running_p_values(p_values, series, as_of)

    np.testing.assert_array_equal(running, [0.5, np.nan, 0.2, 0.2, 0.01, 0.04, 0.04])


def test_looks_of_one_date_have_one_p_value() -> None:
    running = running_p_values(np.array([0.3, np.nan, 0.1, 0.2, 0.4]), np.zeros(5), np.array([1, 1, 1, 0, 2]))

    np.testing.assert_array_equal(running, [0.1, np.nan, 0.1, 0.2, 0.1])


def test_estimates_keep_the_smallest_p_value_of_their_series() -> None:
    days = np.arange(6)
    means = np.array([0.1, 0.9, 0.2, 0.1, 0.0, 0.1])
    treatment, control = summed(np.full(6, 400.0), means, 1.0), summed(np.full(6, 400.0), 0.001, 1.0)

    together = analyse(Comparisons.of(MetricType.MEAN, treatment, control, series=1, as_of=days))
    alone = analyse(Comparisons.of(MetricType.MEAN, treatment, control))

    assert together.sequential_p_value == pytest.approx(np.minimum.accumulate(alone.sequential_p_value))
    assert together.is_significant_sequential.tolist() == [False, True, True, True, True, True]
    assert together.p_value == pytest.approx(alone.p_value)


def test_unplanned_experiment_is_tuned_to_five_thousand_users() -> None:
    arms = (summed(400, 1.1, 1), summed(400, 1, 1))

    found, planned = row(MetricType.MEAN, *arms), row(MetricType.MEAN, *arms, tuning_users=5000)

    assert found["sequential_tuning_parameter"] == 5000
    assert found["sequential_ci_upper"] == planned["sequential_ci_upper"]
