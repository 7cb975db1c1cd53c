"""Which bucket a user falls into: the hashing of the GrowthBook SDK specification v5, so that every SDK agrees.

https://docs.growthbook.io/lib/build-your-own. A bucket is a number from 0 up to 1 (exclusive) in steps of 0.0001
(hash version 2) or 0.001 (version 1). A range is half open: its lower bound belongs to it, its upper bound does not.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from fnv_hash_fast import fnv1a_32

Range: TypeAlias = tuple[float, float]

_OFFSET_BASIS = 0x811C9DC5
_PRIME = 0x01000193
_UINT32 = 0xFFFFFFFF
_LOWEST_WEIGHT_SUM = 0.99
_HIGHEST_WEIGHT_SUM = 1.01
_LARGEST_PLAIN_EXPONENT = 21
_SMALLEST_PLAIN_EXPONENT = -6


def fnv1a32(text: str) -> int:
    """FNV-1a, 32 bits, of the UTF-16 units of the text, which are what an SDK gets from `charCodeAt`."""
    if text.isascii():
        return fnv1a_32(text.encode())
    value = _OFFSET_BASIS
    units = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = ((value ^ (low | high << 8)) * _PRIME) & _UINT32
    return value


def bucket_of(seed: str, value: str, version: int) -> float | None:
    """The bucket of a user; None for a hash version that does not exist.

    Version 1: `fnv1a32(value + seed) % 1000 / 1000`; version 2:
    `fnv1a32(str(fnv1a32(seed + value))) % 10000 / 10000`, without the bias between two seeds that version 1 has.
    """
    if version == 2:
        text = seed + value
        first = fnv1a_32(text.encode()) if text.isascii() else fnv1a32(text)
        return (fnv1a_32(b"%d" % first) % 10000) / 10000
    if version == 1:
        return (fnv1a32(value + seed) % 1000) / 1000
    return None


def is_in_range(bucket: float, bounds: Sequence[float]) -> bool:
    """Whether a bucket is in the half-open range."""
    return bounds[0] <= bucket < bounds[1]


def in_namespace(user_id: str, namespace: Sequence[Any]) -> bool:
    """Whether a user is in `[name, from, to]`. Two experiments with ranges that do not meet never share a user."""
    bucket = bucket_of(f"__{namespace[0]}", user_id, 1)
    return bucket is not None and is_in_range(bucket, (namespace[1], namespace[2]))


def equal_weights(count: int) -> list[float]:
    """`count` equal shares of 1."""
    return [1 / count] * count if count > 0 else []


def usable_weights(count: int, weights: Sequence[float] | None) -> Sequence[float]:
    """The weights if there is one for each variation and they make up 1 within a hundredth, else equal ones."""
    if weights is None or len(weights) != count or any(not math.isfinite(weight) or weight < 0 for weight in weights):
        return equal_weights(count)
    return weights if _LOWEST_WEIGHT_SUM <= sum(weights) <= _HIGHEST_WEIGHT_SUM else equal_weights(count)


def bucket_ranges(count: int, coverage: float = 1, weights: Sequence[float] | None = None) -> list[Range]:
    """The range of buckets of each variation. Coverage cuts from the end of each, so raising it moves nobody."""
    covered = min(max(coverage, 0), 1)
    ranges = []
    start = 0.0
    for weight in usable_weights(count, weights):
        ranges.append((start, start + covered * weight))
        start += weight
    return ranges


def choose_variation(bucket: float, ranges: Iterable[Sequence[float]]) -> int:
    """The index of the first range that holds the bucket; -1 when none does."""
    for index, (start, end) in enumerate(ranges):
        if start <= bucket < end:
            return index
    return -1


def hash_text(value: Any) -> str:
    """An attribute as the text that is hashed, "" when it cannot identify anybody.

    A user is identified by text or by a finite number other than 0, which is written as JavaScript writes it: 3.0 is
    the user 3.
    """
    if type(value) is str:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, str) else ""
    try:
        number = float(value)
    except OverflowError:
        return ""
    return number_text(number) if number and math.isfinite(number) else ""


def number_text(number: float) -> str:
    """A finite number as JavaScript's `String` writes it (ECMAScript, Number::toString)."""
    if number == 0:
        return "0"
    if number < 0:
        return "-" + number_text(-number)
    mantissa, _, exponent = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    padded = (whole + fraction).lstrip("0")
    digits = padded.rstrip("0")
    point = int(exponent or 0) - len(fraction) + len(padded)
    if len(digits) <= point <= _LARGEST_PLAIN_EXPONENT:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _LARGEST_PLAIN_EXPONENT:
        return f"{digits[:point]}.{digits[point:]}"
    if _SMALLEST_PLAIN_EXPONENT < point <= 0:
        return "0." + "0" * -point + digits
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"
