"""The interval of the lift: Fieller's is the dual of the difference's, whatever the baseline and the adjustment."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import t

from experiment_stats.comparisons import MetricType, RelativeMethod
from tests.experiment_stats.moments_given import moments, row, summed

MEANS = st.floats(-5, 5)
VARIANCES = st.floats(1e-3, 50)
USERS = st.integers(2, 5000)


@given(means=st.tuples(MEANS, MEANS), variances=st.tuples(VARIANCES, VARIANCES), users=st.tuples(USERS, USERS))
@settings(max_examples=150)
def test_lift_excludes_zero_exactly_when_the_difference_does(means: tuple, variances: tuple, users: tuple) -> None:
    assume(abs(means[1]) > 1e-3)

    found = row(MetricType.MEAN, *(summed(*arm) for arm in zip(users, means, variances, strict=True)))

    for prefix in ("", "sequential_"):
        absolute = [found[f"{prefix or 'absolute_'}ci_{side}"] for side in ("lower", "upper")]
        relative = [found[f"{prefix}relative_ci_{side}"] for side in ("lower", "upper")]
        if not np.isnan(relative[0]) and min(np.abs(absolute)) > 1e-9:
            assert (np.sign(absolute) == np.sign(relative)).all() or means[1] < 0
            assert (relative[0] > 0 or relative[1] < 0) == (absolute[0] > 0 or absolute[1] < 0)
            assert relative[0] <= found["relative_lift"] <= relative[1]


@given(seed=st.integers(0, 10_000), baseline=st.sampled_from([-3.0, 0.4, 2.0, 50.0]))
@settings(max_examples=60)
def test_adjusted_lift_excludes_zero_exactly_when_the_adjusted_difference_does(seed: int, baseline: float) -> None:
    random = np.random.default_rng(seed)
    before = random.normal(1, 1, 200)
    after = baseline + before + random.normal(0, 0.5, 200) + np.repeat([0.12, 0], 100)

    treatment, control = (moments(after[part], covariate=before[part]) for part in (slice(100), slice(100, None)))
    found = row(MetricType.MEAN, treatment, control)

    assert found["is_cuped_adjusted"]
    if not np.isnan(found["relative_ci_lower"]):
        is_outside = found["relative_ci_lower"] > 0 or found["relative_ci_upper"] < 0
        assert is_outside == (found["p_value"] < 0.05)


def test_fieller_agrees_with_its_theorem() -> None:
    """Both ends are values of R for which treatment - R control is just distinct from 0."""
    a, b = 1.0 / 200, 4.0 / 100
    found = row(MetricType.MEAN, summed(100, 3.5, 4), summed(200, 2.0, 1))

    ratios = 1 + np.array([found["relative_ci_lower"], found["relative_ci_upper"]])
    distances = np.abs(3.5 - ratios * 2.0) / np.sqrt(b + ratios**2 * a)

    critical = t.ppf(0.975, found["degrees_of_freedom"])
    assert distances == pytest.approx([critical, critical], rel=1e-9)


def test_delta_method_is_there_for_the_asking() -> None:
    arms = (summed(100, 3.5, 4), summed(200, 2.0, 1))

    delta, by_default = row(MetricType.MEAN, *arms, relative_method=RelativeMethod.DELTA), row(MetricType.MEAN, *arms)

    assert (delta["relative_ci_method"], by_default["relative_ci_method"]) == ("delta", "fieller")
    middle = (delta["relative_ci_lower"] + delta["relative_ci_upper"]) / 2
    assert middle == pytest.approx(delta["relative_lift"]) == by_default["relative_lift"]
    assert by_default["relative_ci_upper"] - 0.75 > 0.75 - by_default["relative_ci_lower"]
