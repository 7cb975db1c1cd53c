"""Buckets: the specification's cases, and what a million users make of them."""

import string
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from flags.hashing import (
    bucket_of,
    bucket_ranges,
    choose_variation,
    equal_weights,
    fnv1a32,
    hash_text,
    in_namespace,
    number_text,
)
from tests.flags.flags_given import VECTORS, named

USERS = 1_000_000
LOWEST_P = 0.001


def rounded(ranges: Any) -> list[list[float]]:
    return [[round(bound, 6) for bound in one] for one in ranges]


@lru_cache(maxsize=2)
def buckets(seed: str, count: int = USERS) -> np.ndarray:
    """The buckets of users in ten-thousandths."""
    return np.fromiter((round((bucket_of(seed, f"user-{one}", 2) or 0) * 10_000) for one in range(count)), int, count)


def p_of_independence(table: np.ndarray) -> float:
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = ((table - expected) ** 2 / expected).sum()
    return float(chi2.sf(statistic, (table.shape[0] - 1) * (table.shape[1] - 1)))


@pytest.mark.parametrize(("seed", "value", "version", "expected"), **named(VECTORS["hash"]))
def test_bucket_is_that_of_the_specification(seed: str, value: str, version: int, expected: float | None) -> None:
    assert bucket_of(seed, value, version) == expected


@pytest.mark.parametrize(("_", "arguments", "expected"), **named(VECTORS["getBucketRange"]))
def test_ranges_are_those_of_the_specification(_: str, arguments: list[Any], expected: list[list[float]]) -> None:
    assert rounded(bucket_ranges(*arguments)) == rounded(expected)


@pytest.mark.parametrize(("_", "bucket", "ranges", "expected"), **named(VECTORS["chooseVariation"]))
def test_variation_is_that_of_the_specification(_: str, bucket: float, ranges: Any, expected: int) -> None:
    assert choose_variation(bucket, ranges) == expected


@pytest.mark.parametrize(("_", "user_id", "namespace", "is_in"), **named(VECTORS["inNamespace"]))
def test_namespace_is_that_of_the_specification(_: str, user_id: str, namespace: list[Any], is_in: bool) -> None:
    assert in_namespace(user_id, namespace) is is_in


@pytest.mark.parametrize(("count", "expected"), **named(VECTORS["getEqualWeights"]))
def test_equal_weights_are_those_of_the_specification(count: int, expected: list[float]) -> None:
    assert [round(weight, 8) for weight in equal_weights(count)] == expected


@given(text=st.text())
def test_hash_is_that_of_javascripts_char_codes(text: str) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    expected = 0x811C9DC5
    for index in range(0, len(units), 2):
        expected = ((expected ^ int.from_bytes(units[index : index + 2], "little")) * 0x01000193) % 2**32

    assert fnv1a32(text) == expected


@pytest.mark.parametrize("seed", ["new_feature", "checkout", "a"])
def test_buckets_of_a_million_users_are_uniform(seed: str) -> None:
    counts = np.bincount(buckets(seed), minlength=10_000)

    statistic = ((counts - USERS / 10_000) ** 2 / (USERS / 10_000)).sum()

    assert len(counts) == 10_000
    assert float(chi2.sf(statistic, 9_999)) > LOWEST_P


def test_two_flags_are_independent() -> None:
    one, other = buckets("flag-one"), buckets("flag-two")

    table = np.histogram2d(one, other, bins=(20, 20), range=((0, 10_000), (0, 10_000)))[0]

    assert p_of_independence(table) > LOWEST_P


def test_a_namespace_is_independent_of_the_flags_in_it() -> None:
    count = 200_000
    places = np.fromiter((bucket_of("__space", f"user-{one}", 1) for one in range(count)), float, count)

    table = np.histogram2d(places, buckets("flag", count), bins=(10, 20), range=((0, 1), (0, 10_000)))[0]

    assert p_of_independence(table) > LOWEST_P


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.5], [0.2, 0.3, 0.5]], ids=len)
def test_raising_coverage_moves_none_of_a_million_users_out(weights: list[float]) -> None:
    users = buckets("flag") / 10_000
    before = np.full(USERS, -1)

    for coverage in (0, 0.0001, 0.01, 0.1, 0.25, 0.333, 0.5, 0.75, 0.9999, 1):
        after = np.full(USERS, -1)
        for index, (low, high) in enumerate(bucket_ranges(len(weights), coverage, weights)):
            after[(low <= users) & (users < high)] = index
        assert np.all((before == -1) | (before == after))
        assert abs(np.mean(after >= 0) - coverage) < 0.002
        before = after


@given(
    coverage=st.floats(),
    weights=st.none() | st.lists(st.floats(), max_size=4),
    count=st.integers(-1, 5),
    bucket=st.floats(0, 1, exclude_max=True),
)
def test_any_numbers_give_ranges_that_do_not_overlap(
    coverage: float, weights: list[float] | None, count: int, bucket: float
) -> None:
    ranges = bucket_ranges(count, coverage, weights)

    assert len(ranges) == max(count, 0)
    assert sum(low <= bucket < high for low, high in ranges) <= 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ann", "ann"), (3, "3"), (3.0, "3"), (1.5, "1.5"), (-2, "-2"), (1e21, "1e+21"), (1e-7, "1e-7"),
        (1e20, "1" + "0" * 20),
        (0.000001, "0.000001"), (123456789.125, "123456789.125"), (1.5e-7, "1.5e-7"), (10**400, ""), (0, ""), ("", ""),
        (None, ""), (True, ""), ([1], ""), ({}, ""), (float("nan"), ""), (float("inf"), ""),
    ],
    ids=str,
)  # fmt: skip
def test_user_id_is_written_as_javascript_writes_it(value: Any, text: str) -> None:
    assert hash_text(value) == text


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_number_is_written_so_that_it_reads_back(number: float) -> None:
    assert float(number_text(number)) == number


@given(user_id=st.text(string.printable), seed=st.text(), version=st.sampled_from([1, 2]))
def test_bucket_is_from_0_up_to_1(user_id: str, seed: str, version: int) -> None:
    bucket = bucket_of(seed, user_id, version)

    assert bucket is not None
    assert 0 <= bucket < 1
