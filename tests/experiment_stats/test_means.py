"""Welch's test against statsmodels and scipy, from users and from sums."""

import numpy as np
import pytest
from scipy.stats import ttest_ind_from_stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from experiment_stats.comparisons import MetricType
from tests.experiment_stats.moments_given import moments, row, summed


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.001])
@pytest.mark.parametrize("sizes", [(30, 20), (2, 3), (5000, 400)])
def test_welch_agrees_with_statsmodels(sizes: tuple[int, int], alpha: float) -> None:
    random = np.random.default_rng(sizes[0])
    treatment, control = random.exponential(3, sizes[0]), random.normal(2, 0.5, sizes[1])

    found = row(MetricType.MEAN, moments(treatment), moments(control), alpha=alpha)

    oracle = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    statistic, p_value, degrees = oracle.ttest_ind(usevar="unequal")
    limits = oracle.tconfint_diff(alpha=alpha, usevar="unequal")
    assert (found["test_statistic"], found["p_value"]) == pytest.approx((statistic, p_value), rel=1e-9)
    assert found["degrees_of_freedom"] == pytest.approx(degrees, rel=1e-9)
    assert (found["absolute_ci_lower"], found["absolute_ci_upper"]) == pytest.approx(limits, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-140, 1e-8, 1.0, 1e8, 1e140])
def test_welch_does_not_depend_on_the_unit(scale: float) -> None:
    arms = (summed(300, 1.2 * scale, 4 * scale**2), summed(200, 1.0 * scale, 3 * scale**2))

    found = row(MetricType.MEAN, *arms)

    oracle = ttest_ind_from_stats(1.2, 2, 300, 1, np.sqrt(3), 200, equal_var=False)
    assert (found["test_statistic"], found["p_value"]) == pytest.approx((oracle.statistic, oracle.pvalue), rel=1e-9)
    assert found["relative_lift"] == pytest.approx(0.2)
    assert found["relative_ci_lower"] == pytest.approx(row(MetricType.MEAN, *_unscaled())["relative_ci_lower"])


def _unscaled() -> tuple:
    return summed(300, 1.2, 4), summed(200, 1.0, 3)
