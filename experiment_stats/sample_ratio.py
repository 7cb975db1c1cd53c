"""Whether users arrived in the arms as they were allocated: sample ratio mismatch (Fabijan et al. 2019).

A test is a group: an experiment at an as-of date, say. Its arms and the phases of its allocation may be any number.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from experiment_stats.arrays import Booleans, Floats, Integers, Objects, choose, column, floats

ALARM_P_VALUE = 0.001
"""Below it a mismatch is detected (the default of GrowthBook)."""
MINIMUM_EXPECTED_USERS = 8.0
"""Of every arm that is allocated users; with fewer there is no test (the default of GrowthBook)."""


class _Status(IntEnum):
    OK = 0
    INSUFFICIENT_DATA = 1
    INVALID_INPUT = 2


@dataclass(frozen=True, slots=True)
class ExpectedUsers:
    """One element an arm, sorted by group and arm."""

    group: Integers
    arm: Integers
    observed: Floats
    """Users who came while the arm was allocated any."""
    expected: Floats
    """Users that the history of allocations leads to expect; 0 for an arm that never was allocated any."""
    unexpected: Floats
    """Users who came while the arm was allocated none."""


@dataclass(frozen=True, slots=True)
class SampleRatios:
    """One element a group, sorted by its code."""

    group: Integers
    chi_square: Floats
    degrees_of_freedom: Floats
    """Arms that were allocated users, less one."""
    p_value: Floats
    """NaN where there is no test."""
    is_mismatch: Booleans
    """The p-value is below `ALARM_P_VALUE`."""
    unexpected_traffic: Booleans
    """Users came to an arm that was allocated none."""
    status: Objects
    """`ok`, `insufficient_data` or `invalid_input`."""


def expected_users(
    group: npt.ArrayLike, phase: npt.ArrayLike, arm: npt.ArrayLike, users: npt.ArrayLike, allocation: npt.ArrayLike
) -> ExpectedUsers:
    """What a history of allocations leads to expect: the sum over phases of the users of the phase times the share.

    So a ramp from 10 % to 50 % is no mismatch. Allocations of a phase need not sum to 1; they are normalised.

    Args:
        group: code of the test; one element for each group, phase and arm, in any order.
        phase: code of the phase inside its group.
        arm: code of the arm inside its group.
        users: who were first exposed to the arm in the phase.
        allocation: of the arm in the phase; 0 for none.

    Returns:
        Expected counts are NaN in a phase that has counts or allocations which are negative or no numbers.
    """
    length = np.size(group)
    groups, phases, arms = (column(codes, length, np.int64) for codes in (group, phase, arm))
    counts, weights = floats(users, length), floats(allocation, length)
    order = np.lexsort((weights, counts, arms, phases, groups))
    groups, phases, arms = (codes[order] for codes in (groups, phases, arms))
    counts, weights = counts[order], weights[order]
    is_valid = np.isfinite(counts) & (counts >= 0) & np.isfinite(weights) & (weights >= 0)
    in_phase = _runs(groups, phases)
    is_open = weights > 0
    total_weight = _sums(in_phase, np.where(is_valid, weights, np.nan))[in_phase]
    arrived = _sums(in_phase, np.where(is_open, counts, 0.0))[in_phase]
    expected = np.where(arrived > 0, arrived * (weights / np.where(total_weight == 0, 1, total_weight)), 0.0)
    expected = np.where(is_valid & np.isfinite(total_weight), expected, np.nan)
    by_arm = np.lexsort((phases, arms, groups))
    cells = _runs(groups[by_arm], arms[by_arm])
    first = by_arm[np.flatnonzero(np.diff(cells, prepend=-1))]
    return ExpectedUsers(
        group=groups[first],
        arm=arms[first],
        observed=_sums(cells, np.where(is_open, counts, 0.0)[by_arm]),
        expected=_sums(cells, expected[by_arm]),
        unexpected=_sums(cells, np.where(is_open, 0.0, counts)[by_arm]),
    )


def sample_ratio_p_values(
    group: npt.ArrayLike, observed: npt.ArrayLike, expected: npt.ArrayLike, unexpected: npt.ArrayLike = 0.0
) -> SampleRatios:
    """Test the arms of each group together: chi2 = sum (o-e)^2 / e over the arms that were allocated users.

    Args:
        group: code of the test; one element for each arm, in any order.
        observed: users of the arm.
        expected: users or shares; they are scaled to the observed users of the group. An arm with 0 is left out of
            the test, and its users are unexpected traffic.
        unexpected: users who came to the arm while it was allocated none and are not among the observed.
    """
    length = np.size(group)
    groups = column(group, length, np.int64)
    counts, shares, strangers = (floats(one, length) for one in (observed, expected, unexpected))
    order = np.lexsort((strangers, counts, shares, groups))
    groups = groups[order]
    counts, shares, strangers = (one[order] for one in (counts, shares, strangers))
    codes, inside = np.unique(groups, return_inverse=True)

    def summed(values: npt.NDArray[Any]) -> Floats:
        return _sums(inside, values)

    is_open = shares > 0
    is_invalid = summed(~(np.isfinite(counts) & (counts >= 0) & np.isfinite(shares) & (shares >= 0))) > 0
    tested = np.where(is_open, counts, 0.0)
    with np.errstate(all="ignore"):
        scale = (summed(tested) / summed(np.where(is_open, shares, 0.0)))[inside]
        due = np.where(is_open, shares * scale, 1.0)
        chi_square = summed(np.where(is_open, (tested - due) * ((tested - due) / due), 0.0))
    degrees = summed(is_open) - 1
    is_small = (degrees < 1) | (summed(is_open & ~(due >= MINIMUM_EXPECTED_USERS)) > 0)
    status = np.where(is_invalid, _Status.INVALID_INPUT, np.where(is_small, _Status.INSUFFICIENT_DATA, _Status.OK))
    is_tested = status == _Status.OK
    p_value = np.where(is_tested, chdtrc(np.where(is_tested, degrees, 1), np.where(is_tested, chi_square, 0)), np.nan)
    return SampleRatios(
        group=codes,
        chi_square=np.where(is_tested, chi_square, np.nan),
        degrees_of_freedom=np.where(is_tested, degrees, np.nan),
        p_value=p_value,
        is_mismatch=p_value < ALARM_P_VALUE,
        unexpected_traffic=summed(np.where(is_open, 0.0, counts) + strangers > 0) > 0,
        status=choose(status, [one.name.lower() for one in _Status]),
    )


def _runs(*keys: Integers) -> Integers:
    """Number of the run of equal keys that each element of sorted keys is in, from 0."""
    starts = np.zeros(len(keys[0]), dtype=bool)
    for key in keys:
        starts[1:] |= np.diff(key) != 0
    return np.cumsum(starts)


def _sums(run: Integers, values: npt.NDArray[Any]) -> Floats:
    """Sum over each run, in the order of the elements."""
    return np.bincount(run, values).astype(np.float64)
