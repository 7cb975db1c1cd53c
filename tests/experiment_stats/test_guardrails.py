"""Non-inferiority and the verdict on guardrails."""

import math

import pytest
from scipy.stats import norm

from experiment_stats.comparisons import MetricType
from tests.experiment_stats.moments_given import row, summed

MEAN = MetricType.MEAN


def guardrail(effect: float, *, margin: float = 0.1, error: float = 0.02, is_increase_good: bool = True) -> dict:
    """A guardrail over 20,000 users whose difference has this standard error."""
    variance = error**2 * 10_000 / 2
    arms = (summed(10_000, 5 + effect, variance), summed(10_000, 5, variance))
    settings = {"is_guardrail": True, "non_inferiority_margin": margin, "tuning_users": 20_000}
    return row(MEAN, *arms, is_increase_good=is_increase_good, **settings)


@pytest.mark.parametrize(("effect", "margin"), [(0.0, 0.05), (-0.03, 0.04), (0.1, 0.01), (-0.3, 0.1)])
def test_p_value_is_that_of_a_loss_as_large_as_the_margin(effect: float, margin: float) -> None:
    up, down = guardrail(effect, margin=margin), guardrail(-effect, margin=margin, is_increase_good=False)

    expected = norm.sf((effect + margin) / 0.02)
    assert up["non_inferiority_p_value"] == pytest.approx(expected, rel=1e-6)
    assert down["non_inferiority_p_value"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("is_increase_good", [True, False])
@pytest.mark.parametrize(
    ("effect", "status"),
    [(0.0, "passed"), (-0.06, "passed"), (-0.075, "failed"), (-0.5, "failed"), (0.4, "passed")],
)
def test_verdict(effect: float, status: str, is_increase_good: bool) -> None:
    sign = 1 if is_increase_good else -1

    found = guardrail(effect * sign, is_increase_good=is_increase_good)

    assert found["guardrail_status"] == status


def test_small_loss_that_may_be_larger_than_the_margin_is_inconclusive() -> None:
    found = guardrail(-0.04, margin=0.05)

    assert found["guardrail_status"] == "inconclusive"
    assert found["p_value"] < 0.05 < found["sequential_p_value"]


def test_loss_inside_the_margin_has_passed_though_it_is_there() -> None:
    found = guardrail(-0.09, margin=0.2)

    assert found["guardrail_status"] == "passed"
    assert found["is_significant_sequential"] is True


def test_other_metrics_and_guardrails_without_a_margin_have_no_verdict() -> None:
    arms = (summed(400, 5, 1), summed(400, 5, 1))

    no_margin, no_guardrail = row(MEAN, *arms, is_guardrail=True), row(MEAN, *arms, non_inferiority_margin=0.1)

    assert (no_margin["guardrail_status"], no_guardrail["guardrail_status"]) == (None, None)
    assert math.isnan(no_margin["non_inferiority_p_value"])
    assert no_guardrail["non_inferiority_p_value"] < 0.5
