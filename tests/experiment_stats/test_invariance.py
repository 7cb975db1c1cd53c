"""The same numbers in any order and any chunks, and never anything that is no number."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, Correction, MetricType
from experiment_stats.estimates import Estimates
from experiment_stats.validity import FAILURES, STATUSES
from tests.experiment_stats.moments_given import any_comparisons, summed


@given(comparisons=any_comparisons(), data=st.data())
@settings(max_examples=60)
def test_estimates_do_not_depend_on_the_order_of_rows(comparisons: Comparisons, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(len(comparisons)))))

    shuffled = analyse(comparisons.take(order))

    assert shuffled.is_identical(analyse(comparisons).take(order))


@given(comparisons=any_comparisons(largest=8))
@settings(max_examples=40)
def test_estimates_do_not_depend_on_what_else_is_computed(comparisons: Comparisons) -> None:
    rows = np.arange(len(comparisons))
    alone = Comparisons.of(
        comparisons.metric_type,
        comparisons.treatment,
        comparisons.control,
        **{
            name: getattr(comparisons, name)
            for name in Comparisons.__dataclass_fields__
            if name not in ("metric_type", "treatment", "control", "family", "series")
        },
        family=rows,
        series=rows,
    )

    one_by_one = [analyse(alone.take(slice(index, index + 1))) for index in rows]

    together = analyse(alone)
    assert all(one.is_identical(together.take(slice(index, index + 1))) for index, one in enumerate(one_by_one))


def test_large_batches_equal_their_chunks() -> None:
    """More rows than are computed at a time, with families and series that lie across."""
    random = np.random.default_rng(3)
    count = 40_000
    treatment, control = (
        summed(random.integers(100, 10_000, count), random.normal(10, 1, count), random.uniform(1, 90, count))
        for _ in range(2)
    )
    comparisons = Comparisons.of(
        MetricType.MEAN,
        treatment,
        control,
        family=np.arange(count) // 8,
        series=np.arange(count) // 40,
        as_of=np.arange(count) % 40,
        correction=random.choice([Correction.HOLM, Correction.BH], count // 8).repeat(8),
    )
    order = random.permutation(count)

    whole = analyse(comparisons)

    shuffled = analyse(comparisons.take(order))
    assert shuffled.is_identical(whole.take(order))
    for begin, end in ((0, 40), (40, 16_400), (16_400, count)):
        assert analyse(comparisons.take(slice(begin, end))).is_identical(whole.take(slice(begin, end)))


@given(comparisons=any_comparisons())
@settings(max_examples=150)
def test_every_row_is_numbers_or_null_with_a_reason(comparisons: Comparisons) -> None:
    estimates = analyse(comparisons)

    for values in estimates.columns().values():
        assert values.dtype != np.float64 or not np.isinf(values).any()
    for index, status in enumerate(estimates.status):
        failures = estimates.validation_failures[index]
        assert status in STATUSES
        assert set(failures) <= FAILURES.keys()
        assert status == "ok" or status in failures
        assert status != "ok" or is_complete(estimates, index)


def is_complete(estimates: Estimates, index: int) -> bool:
    """The test, the lift and all intervals whose absence is not told by a failure of their own."""
    names = {"absolute_difference", "absolute_ci_lower", "absolute_ci_upper", "p_value", "p_value_adjusted"}
    names |= {"relative_lift", "relative_ci_lower", "relative_ci_upper", "sequential_p_value", "sequential_ci_lower"}
    if "sequential_baseline_not_distinct_from_zero" not in estimates.validation_failures[index]:
        names |= {"sequential_relative_ci_lower", "sequential_relative_ci_upper"}
    if "posterior_baseline_not_distinct_from_zero" not in estimates.validation_failures[index]:
        names |= {"posterior_mean", "posterior_std_dev", "expected_loss", "chance_to_win", "credible_interval_lower"}
    return not any(np.isnan(getattr(estimates, name)[index]) for name in names)


@given(comparisons=any_comparisons())
@settings(max_examples=60)
def test_numbers_stay_in_their_ranges(comparisons: Comparisons) -> None:
    estimates = analyse(comparisons)

    for name in ("p_value", "p_value_adjusted", "sequential_p_value", "chance_to_win", "non_inferiority_p_value"):
        values = getattr(estimates, name)
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all(), name
    for name in ("expected_loss", "posterior_std_dev", "absolute_std_error", "mde_relative", "required_users"):
        values = getattr(estimates, name)
        assert ((values >= 0) | np.isnan(values)).all(), name
    assert not (estimates.p_value_adjusted < estimates.p_value).any()
    for prefix in ("absolute_ci", "relative_ci", "sequential_ci", "sequential_relative_ci", "credible_interval"):
        lower, upper = getattr(estimates, f"{prefix}_lower"), getattr(estimates, f"{prefix}_upper")
        assert not (lower > upper).any(), prefix
        assert (np.isnan(lower) == np.isnan(upper)).all(), prefix
