"""Figures of published experiments, from the counts that were published with them."""

import pytest

from experiment_stats.comparisons import MetricType
from tests.experiment_stats.moments_given import converted, row, summed


def test_players_come_back_less_when_the_gate_is_later() -> None:
    """Cookie Cats (Tactile Entertainment): players who came back after seven days, gate at level 40 against 30."""
    found = row(MetricType.PROPORTION, converted(8279, 45489), converted(8502, 44700))

    assert found["absolute_difference"] == pytest.approx(-0.00820129831520591, rel=1e-9)
    assert found["absolute_std_error"] == pytest.approx(0.00259201400829404, rel=1e-9)
    assert found["p_value"] == pytest.approx(0.00155582557370725, rel=1e-3)
    assert found["relative_lift"] == pytest.approx(-0.0431190348964602, rel=1e-9)
    assert found["relative_std_error"] == pytest.approx(0.0133296031555847, rel=1e-9)


def test_rounds_that_are_played_hardly_differ() -> None:
    """The same players' rounds in fourteen days; one of them has 49,854."""
    found = row(
        MetricType.MEAN,
        summed(45489, 51.2987755281497, 10669.7364215133),
        summed(44700, 52.4562639821029, 65903.321897494),
    )

    assert found["p_value"] == pytest.approx(0.375924384093262, rel=1e-9)
    assert found["degrees_of_freedom"] == pytest.approx(58595.481422574, rel=1e-9)
    limits = (found["absolute_ci_lower"], found["absolute_ci_upper"])
    assert limits == pytest.approx((-3.71970511649465, 1.40472820858815), rel=1e-9)


def test_neighbours_who_are_told_on_go_and_vote() -> None:
    """Gerber, Green & Larimer (2008), Civic Duty against control: turnout in August 2006."""
    found = row(MetricType.PROPORTION, converted(12021, 38218), converted(56730, 191243))

    assert found["absolute_difference"] == pytest.approx(0.0178993440848528, rel=1e-9)
    assert found["absolute_std_error"] == pytest.approx(0.00259468826374445, rel=1e-9)
    assert found["p_value"] == pytest.approx(5.25705869427751e-12, rel=5e-3)
