"""The door itself: what it is given, in which order it answers, and what it refuses."""

import numpy as np
import pytest

from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, MetricType
from experiment_stats.moments import Moments
from tests.experiment_stats.moments_given import converted, joined, summed


def test_rows_of_all_kinds_are_answered_in_their_order() -> None:
    kinds = [MetricType.MEAN, MetricType.PROPORTION, MetricType.MEAN]
    treatment = joined(summed(100, 3, 1), converted(200, 1000), summed(1, 3, 1))
    control = joined(summed(100, 2, 1), converted(100, 1000), summed(100, 2, 1))

    estimates = analyse(Comparisons.of(kinds, treatment, control))

    assert len(estimates) == 3
    assert estimates.absolute_difference[:2].tolist() == pytest.approx([1, 0.1])
    assert estimates.status.tolist() == ["ok", "ok", "insufficient_data"]


def test_nothing_is_answered_to_nothing() -> None:
    nothing = Moments.of([], [])

    estimates = analyse(Comparisons.of(MetricType.MEAN, nothing, nothing))

    assert {len(values) for values in estimates.columns().values()} == {0}


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="a column has the shape"):
        Comparisons.of(MetricType.MEAN, summed(100, 3, 1), summed(100, 2, 1), alpha=[0.05, 0.01])
    with pytest.raises(ValueError, match="1 treatments against 2 controls"):
        Comparisons.of(MetricType.MEAN, summed(100, 3, 1), joined(summed(100, 2, 1), summed(100, 2, 1)))


@pytest.mark.parametrize("setting", ["metric_type", "correction", "relative_method", "posterior_scale"])
def test_unknown_codes_are_refused(setting: str) -> None:
    settings = {"metric_type": MetricType.MEAN, setting: 7}

    with pytest.raises(ValueError, match=f"{setting} has a code that is none of"):
        Comparisons.of(treatment=summed(100, 3, 1), control=summed(100, 2, 1), **settings)


def test_unknown_sums_are_refused() -> None:
    with pytest.raises(TypeError):
        Moments.of(10, 3, sum_of_squares=3)


def test_strided_arrays_make_the_same_bits() -> None:
    users, sums = np.full((500, 2), 400.0), np.random.default_rng(1).uniform(100, 300, (500, 2))
    strided = Moments.of(users[:, 0], sums[:, 0])

    found = analyse(Comparisons.of(MetricType.PROPORTION, strided, Moments.of(users[:, 1], sums[:, 1])))

    copied = Moments.of(users[:, 0].copy(), sums[:, 0].copy()), Moments.of(users[:, 1].copy(), sums[:, 1].copy())
    assert found.is_identical(analyse(Comparisons.of(MetricType.PROPORTION, *copied)))
