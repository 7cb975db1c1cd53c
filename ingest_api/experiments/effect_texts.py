"""Effects and p-values as text."""

import math
from typing import TypeAlias

Interval: TypeAlias = tuple[float, float]

SMALLEST_PRINTED_P = 1e-300
_MOST_DIGITS = 4


def p_text(p_value: float) -> str:
    """A p-value to three digits; below 1e-300 `<1e-300`, because none is 0."""
    return "<1e-300" if p_value < SMALLEST_PRINTED_P else f"{p_value:.3g}"


def effect_text(
    lift: float | None,
    lift_interval: Interval | None,
    difference: float | None,
    interval: Interval | None,
    *,
    is_rate: bool,
) -> str:
    """`+4.1 % (+1.2 % to +7.0 %)`; without a lift the difference, in percentage points where it is one of rates.

    Args:
        lift: as a fraction.
        lift_interval: of the lift, as fractions.
        difference: in units of the metric.
        interval: of the difference.
        is_rate: whether the metric is a share of users.
    """
    if lift is not None and lift_interval is not None:
        return _with_interval(lift, lift_interval, 100, " %")
    if difference is None:
        return "no estimate"
    if is_rate:
        return _with_interval(difference, interval, 100, " percentage points")
    return _with_interval(difference, interval, 1, "")


def _with_interval(value: float, interval: Interval | None, scale: float, unit: str) -> str:
    numbers = [one * scale for one in (value, *(interval or ()))]
    digits = _digits(numbers)
    texts = [f"{_signed(one, digits)}{unit}" for one in numbers]
    return texts[0] if interval is None else f"{texts[0]} ({texts[1]} to {texts[2]})"


def _digits(numbers: list[float]) -> int:
    """Digits behind the point: one, or as many as it takes that no number but 0 looks like 0."""
    for digits in range(1, _MOST_DIGITS):
        if all(number == 0 or abs(number) >= 0.5 * 10.0**-digits for number in numbers):
            return digits
    return _MOST_DIGITS


def _signed(number: float, digits: int) -> str:
    rounded = round(number, digits) if math.isfinite(number) else number
    return f"{rounded:+,.{digits}f}" if rounded else f"{0:.{digits}f}"
