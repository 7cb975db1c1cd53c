"""One figure, or a series of them, as it should be and as it was found."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

Number: TypeAlias = int | float | Decimal

FEW_VALUES = 4
TINY = 0.001
RELATIVE_TOLERANCE = 1e-9
"""The references' floating-point figures are good to about this much; counts and amounts must be equal."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A named number."""

    name: str
    expected: Number
    found: Number
    relative_tolerance: float | None = None
    """How far they may be apart as a share of what is expected; None compares as `agree` does."""

    @property
    def differences(self) -> list[str]:
        """Empty when both agree."""
        if self.relative_tolerance is None:
            is_equal = agree(self.expected, self.found)
        else:
            is_equal = math.isclose(float(self.expected), float(self.found), rel_tol=self.relative_tolerance)
        return [] if is_equal else [f"{self.found} instead of {self.expected}"]

    @property
    def expected_text(self) -> str:
        """For the table."""
        return number_text(self.expected)

    @property
    def found_text(self) -> str:
        """For the table."""
        return number_text(self.found)


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers by their label, for example one for each day. A label that is missing on one side counts as 0 there."""

    name: str
    expected: Mapping[str, Number]
    found: Mapping[str, Number]

    @property
    def differences(self) -> list[str]:
        """One entry for each label on which both disagree."""
        return [
            f"{label}: {self.found.get(label, 0)} instead of {self.expected.get(label, 0)}"
            for label in sorted({*self.expected, *self.found})
            if not agree(self.expected.get(label, 0), self.found.get(label, 0))
        ]

    @property
    def expected_text(self) -> str:
        """For the table: the values when they are few, else how many and their sum."""
        return _series_text(self.expected)

    @property
    def found_text(self) -> str:
        """For the table, without the empty entries that the reference does not list."""
        listed = {label: self.found[label] for label in self.expected if label in self.found}
        more = {label: number for label, number in self.found.items() if number and label not in self.expected}
        return _series_text(listed | more)


def _series_text(numbers: Mapping[str, Number]) -> str:
    if len(numbers) <= FEW_VALUES:
        return ", ".join(number_text(number) for number in numbers.values())
    return f"{len(numbers)} values, sum {number_text(sum(numbers.values()))}"


def agree(expected: Number, found: Number) -> bool:
    """Compare exactly, but for numbers that are floating point on both sides.

    A Decimal against a float of the reference compares with the float's shortest text, which is how it was written.
    """
    if isinstance(expected, float) and isinstance(found, float):
        return abs(expected - found) <= RELATIVE_TOLERANCE * max(1.0, abs(expected))
    return Decimal(str(expected)) == Decimal(str(found))


def number_text(number: Number) -> str:
    """Return a number with thousands marked and no more than six decimals; a tiny one by its first digits."""
    if isinstance(number, int):
        return f"{number:,}"
    if 0 < abs(float(number)) < TINY:
        return f"{number:.6g}"
    return f"{number:,.6f}".rstrip("0").rstrip(".")
