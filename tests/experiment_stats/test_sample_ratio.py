"""Sample ratio mismatch against scipy's chi-square, over phases, arms without allocation and any order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from experiment_stats.sample_ratio import expected_users, sample_ratio_p_values


def one_phase(users: list[float], allocations: list[float]) -> tuple:
    count = len(users)
    arms = expected_users([0] * count, [0] * count, range(count), users, allocations)
    return arms, sample_ratio_p_values(arms.group, arms.observed, arms.expected, arms.unexpected)


@pytest.mark.parametrize("allocations", [[50, 50], [0.5, 0.5], [1, 1]])
def test_published_game_was_split_unevenly(allocations: list[float]) -> None:
    """Cookie Cats: 44,700 and 45,489 players."""
    _, ratios = one_phase([44700, 45489], allocations)

    assert ratios.chi_square == pytest.approx([6.90240494960583])
    assert ratios.p_value == pytest.approx([0.00860798781083626])
    assert not ratios.is_mismatch[0]


def test_four_arms_agree_with_the_published_field_experiment() -> None:
    _, ratios = one_phase([191243, 38218, 38204, 38201], [5, 1, 1, 1])

    assert ratios.degrees_of_freedom == [3]
    assert ratios.p_value == pytest.approx([0.993409303926953])


def test_ramp_is_no_mismatch() -> None:
    arms = expected_users([1] * 4, [0, 0, 1, 1], [0, 1, 0, 1], [9000, 1000, 5010, 4990], [90, 10, 50, 50])

    ratios = sample_ratio_p_values(arms.group, arms.observed, arms.expected)

    assert arms.expected.tolist() == [14000, 6000]
    assert ratios.p_value[0] > 0.5
    assert chisquare([14010, 5990], [10000, 10000]).pvalue < 1e-300


def test_arm_without_allocation_is_no_degree_of_freedom() -> None:
    _, ratios = one_phase([500, 545, 0], [50, 50, 0])

    assert ratios.degrees_of_freedom == [1]
    assert ratios.p_value == pytest.approx([chisquare([500, 545]).pvalue])
    assert not ratios.unexpected_traffic[0]


def test_traffic_in_an_arm_without_allocation_is_unexpected() -> None:
    arms, ratios = one_phase([500, 545, 3], [50, 50, 0])

    assert arms.unexpected.tolist() == [0, 0, 3]
    assert ratios.unexpected_traffic.tolist() == [True]
    assert ratios.p_value == pytest.approx([chisquare([500, 545]).pvalue])


def test_paused_arm_counts_in_the_phase_when_it_was_open() -> None:
    arms = expected_users([0] * 5, [0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [100, 100, 100, 50, 50], [1, 1, 1, 1, 1])
    late = expected_users([0] * 6, [0] * 3 + [1] * 3, [0, 1, 2] * 2, [100, 100, 100, 50, 50, 7], [1, 1, 1, 1, 1, 0])

    assert arms.expected.tolist() == late.expected.tolist() == [150, 150, 100]
    assert late.unexpected.tolist() == [0, 0, 7]


@pytest.mark.parametrize(
    ("users", "status"), [([8, 8], "ok"), ([7, 8], "insufficient_data"), ([16], "insufficient_data")]
)
def test_few_expected_users_have_no_test(users: list[float], status: str) -> None:
    _, ratios = one_phase(users, [1.0] * len(users))

    assert ratios.status == [status]
    assert np.isnan(ratios.p_value[0]) == (status != "ok")


@pytest.mark.parametrize(("users", "allocations"), [([-1, 100], [1, 1]), ([90, 100], [1, -1]), ([90, np.nan], [1, 1])])
def test_counts_and_allocations_that_cannot_be_are_refused(users: list[float], allocations: list[float]) -> None:
    _, ratios = one_phase(users, allocations)

    assert ratios.status == ["invalid_input"]
    assert np.isnan(ratios.p_value[0])


def test_tiny_p_value_comes_from_the_tail() -> None:
    _, ratios = one_phase([50_000, 57_000], [1, 1])

    assert 0 < ratios.p_value[0] == pytest.approx(chisquare([50_000, 57_000]).pvalue, rel=1e-9)
    assert ratios.is_mismatch[0]


@given(seed=st.integers(0, 10_000), count=st.integers(1, 60))
@settings(max_examples=60)
def test_order_of_rows_changes_nothing(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    rows = [random.integers(0, 4, count) for _ in range(3)]
    rows += [random.integers(0, 500, count) + 0.0, random.choice([0, 0.1, 0.3, 2.0], count)]
    order = random.permutation(count)

    first, second = (expected_users(*one) for one in (rows, [values[order] for values in rows]))

    for name in ("group", "arm", "observed", "expected", "unexpected"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    shuffled = random.permutation(len(first.group))
    tests = [
        sample_ratio_p_values(
            *(values[rows] for values in (first.group, first.observed, first.expected, first.unexpected))
        )
        for rows in (slice(None), shuffled)
    ]
    assert tests[0].p_value.tobytes() == tests[1].p_value.tobytes()
    assert first.observed.sum() == pytest.approx(first.expected.sum())


def test_nothing_is_tested_without_rows() -> None:
    assert len(sample_ratio_p_values([], [], []).p_value) == len(expected_users([], [], [], [], []).expected) == 0
