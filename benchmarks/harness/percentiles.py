"""Percentiles of measured times, as text."""

import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many per cent of at least two values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def milliseconds_text(seconds: Sequence[float]) -> str:
    """p50, p95 and p99."""
    return ", ".join(f"p{percent} {percentile(seconds, percent) * 1000:,.1f} ms" for percent in (50, 95, 99))
