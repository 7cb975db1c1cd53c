"""Running extremes inside groups of rows, for any order of the rows and to the last bit."""

import numpy as np
import numpy.typing as npt

from experiment_stats.arrays import Booleans, Floats, Integers


def first_of_group(*sorted_keys: npt.NDArray[np.generic]) -> Booleans:
    """Where a run of equal keys begins; equal keys lie beside each other."""
    starts = np.zeros(len(sorted_keys[0]), dtype=bool)
    starts[:1] = True
    for key in sorted_keys:
        starts[1:] |= key[1:] != key[:-1]
    return starts


def running_minimum(values: Floats, starts: Booleans) -> Floats:
    """The smallest value since the start of each group; NaN stays NaN and does not interrupt the minimum.

    Values are replaced by their ranks, and later groups get smaller numbers than earlier ones, so that one pass of
    numpy's minimum does for all groups and picks a value instead of computing one.
    """
    distinct, ranks = np.unique(values, return_inverse=True)
    groups = np.cumsum(starts)
    offset = (groups[-1:] - groups) * (len(distinct) + 1)
    lowest: Integers = np.minimum.accumulate(ranks + offset) - offset
    # Plus 0, because -0.0 and 0.0 are one value and which of them stands for it depends on the order of the rows.
    return np.where(np.isnan(values), np.nan, distinct[lowest] + 0.0)


def positions(starts: Booleans) -> tuple[Integers, Integers]:
    """Of each row its place in its group, from 1, and the size of the group."""
    begins = np.flatnonzero(starts)
    sizes = np.diff(begins, append=len(starts))
    return np.arange(len(starts)) - np.repeat(begins, sizes) + 1, np.repeat(sizes, sizes)
