"""Sample size, power and the detectable effect against statsmodels, and inside a row."""

import math

import numpy as np
import pytest
from statsmodels.stats.power import normal_power, normal_sample_size_one_tail

from experiment_stats import planning
from experiment_stats.comparisons import MetricType
from tests.experiment_stats.moments_given import converted, row, summed


def test_ten_against_eleven_percent_need_14749_users_each() -> None:
    variances = planning.proportion_variance([0.10, 0.11])

    users = planning.required_users(*variances, 0.01)

    assert users == (14749, 14749)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("wanted", [0.8, 0.95])
def test_users_agree_with_statsmodels(alpha: float, wanted: float) -> None:
    control, treatment = planning.required_users(4.0, 4.0, 0.3, alpha=alpha, power=wanted)

    oracle = normal_sample_size_one_tail(0.3, wanted, alpha / 2, std_null=math.sqrt(8))
    assert control == treatment == math.ceil(oracle)


def test_unequal_arms_have_the_power_that_was_wanted() -> None:
    control, treatment = planning.required_users(2.0, 3.0, -0.1, treatment_per_control=0.25)

    assert treatment == pytest.approx(control / 4, abs=1)
    error = math.sqrt(2 / control + 3 / treatment)
    assert planning.power(0.1, error) == pytest.approx(0.8, abs=1e-3)
    assert planning.minimum_detectable_effect(error) == pytest.approx(0.1, rel=1e-3)


def test_past_of_the_users_saves_users() -> None:
    plain, adjusted = (planning.required_users(4, 4, 0.1, covariate_correlation=rho)[0] for rho in (0, 0.6))

    assert adjusted == pytest.approx(plain * 0.64, abs=1)


@pytest.mark.parametrize("effect", [0.0, 0.1, -0.3])
def test_power_agrees_with_statsmodels(effect: float) -> None:
    found = planning.power(effect, 0.1, alpha=0.05)

    assert found == pytest.approx(normal_power(abs(effect) * 10, 1, 0.05), rel=1e-9)


def test_questions_without_an_answer_have_none() -> None:
    no_effect = planning.required_users(1, 1, 0)
    no_variance = planning.required_users(0, 0, 0.1)

    assert np.isnan([*no_effect, *no_variance, planning.runtime_days(100, 0), planning.runtime_days(100, -1)]).all()
    assert np.isnan(planning.proportion_variance(1.1))


def test_row_tells_what_it_can_find_and_what_the_target_needs() -> None:
    found = row(MetricType.PROPORTION, converted(110, 1000), converted(100, 1000), daily_users=500)

    variances = planning.proportion_variance([0.10, 0.11])
    users = sum(planning.required_users(*variances, 0.01))
    assert found["required_users"] == users == 29498
    assert found["runtime_days"] == users / 500
    error = math.sqrt(variances.sum() / 1000)
    assert found["mde_relative"] == pytest.approx(planning.minimum_detectable_effect(error) / 0.1)


def test_row_plans_for_the_effect_and_the_power_of_its_experiment() -> None:
    arms = (summed(600, 10, 30), summed(400, 10, 20))

    found = row(MetricType.MEAN, *arms, target_relative_effect=0.02, power=0.9, alpha=0.01)

    expected = planning.required_users(20, 30, 0.2, alpha=0.01, power=0.9, treatment_per_control=1.5)
    assert found["required_users"] == pytest.approx(sum(expected), abs=1)
    assert math.isnan(found["runtime_days"])
