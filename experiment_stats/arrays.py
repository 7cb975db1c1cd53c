"""Types of the arrays that everything here takes and gives, and how a column is made of them."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
"""NaN stands for NULL."""
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]
"""Texts or nullable booleans; None stands for NULL."""

_Kind = TypeVar("_Kind", bound=np.generic)


def column(values: npt.ArrayLike, length: int, kind: type[_Kind]) -> npt.NDArray[_Kind]:
    """A contiguous column of this length; a single value is repeated.

    Contiguous, because numpy may round a strided array otherwise in the last bit.

    Raises:
        ValueError: the values have another length, or more than one dimension.
    """
    given = np.asarray(values, dtype=kind)
    if given.ndim == 0:
        return np.full(length, given, dtype=kind)
    if given.shape != (length,):
        raise ValueError(f"a column has the shape {given.shape}, the others ({length},)")
    return np.ascontiguousarray(given)


def floats(values: npt.ArrayLike, length: int) -> Floats:
    """A column of numbers."""
    return column(values, length, np.float64)


def choose(codes: npt.NDArray[np.integer], meanings: Sequence[object]) -> Objects:
    """The meaning of each code; the objects are shared, so a column of texts costs eight bytes a row."""
    table = np.empty(len(meanings), dtype=object)
    table[:] = meanings
    chosen: Objects = table[codes]
    return chosen
