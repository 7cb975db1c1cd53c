"""Experiments of a shop, of which there are only moments at successive times: straight into the statistics.

The reference's always-valid test fixes the width tau of its mixture for each series; ours is told by the number of
users at which the sequence is tightest, so each snapshot is asked with the number that makes them the same.
"""

import csv
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from command_line.verification.figures import Figure, Series
from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, Correction, MetricType, RelativeMethod
from experiment_stats.estimates import Estimates
from experiment_stats.moments import Moments
from experiment_stats.sample_ratio import sample_ratio_p_values

Results = Mapping[str, Any]
Floats = npt.NDArray[np.float64]

_ALPHA = 0.05
_SPREAD_AT_TUNING = -2 * math.log(_ALPHA) + math.log(1 - 2 * math.log(_ALPHA))
"""N* of a sequence times the square of its mixture's width in standard errors of one user."""
_TOLERANCE = 1e-8
"""The moments are put together from means and variances, which costs a digit."""
_FINAL = {
    "absolute_difference": "absolute_difference",
    "se": "absolute_std_error",
    "t": "test_statistic",
    "df": "degrees_of_freedom",
    "relative_lift": "relative_lift",
    "se_relative_delta": "relative_std_error",
}


def asos_figures(path: Path, results: Results) -> Iterator[Figure | Series]:
    """Compare every series at its end, and how many of them are significant by each rule."""
    streams = {_key(stream): stream for stream in results["streams"]}
    rows = [row for row in _rows(path) if row["variance_c"] and row["variance_t"]]
    estimates = _estimates(rows, streams)
    last = {_key(row): place for place, row in enumerate(rows)}
    final = {key: last[key] for key, stream in streams.items() if stream["final"]}
    yield Figure("series with a test at the end", results["summary"]["streams_with_final_test"], len(final))
    for theirs, ours in _FINAL.items():
        found = getattr(estimates, ours)
        errors = (_error(streams[key]["final"][theirs], found[place]) for key, place in final.items())
        yield _within(f"series at the end: {theirs}", errors, _TOLERANCE)
    p_values = {key: float(estimates.p_value[place]) for key, place in final.items()}
    errors = (_error(streams[key]["final"]["p_value_welch"], p_value) for key, p_value in p_values.items())
    yield _within("series at the end: p", errors, 1e-6)
    always_valid = {key: float(estimates.sequential_p_value[last[key]]) for key in streams if key in last}
    errors = (_error(streams[key]["always_valid_p_at_end"], p_value) for key, p_value in always_valid.items())
    yield _within("series: always-valid p at the end", errors, 1e-6)
    yield from _counts(results["summary"], p_values, always_valid)
    corrected = estimates.p_value_adjusted[list(final.values())]
    expected = results["summary"]["significant_at_end_after_benjamini_hochberg_5pct_over_all_streams"]
    yield Figure("significant after Benjamini-Hochberg", expected, int((corrected < _ALPHA).sum()))
    yield from _ratios(results)


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["experiment_id"], str(row["variant_id"]), str(row["metric_id"])


def _estimates(rows: list[dict[str, str]], streams: Mapping[tuple[str, str, str], Results]) -> Estimates:
    def column(name: str) -> Floats:
        return np.array([float(row[name]) for row in rows])

    def arm(letter: str) -> Moments:
        count, mean, variance = (column(f"{name}_{letter}") for name in ("count", "mean", "variance"))
        return Moments.of(count, count * mean, main_sum_squares=(count - 1) * variance + count * mean**2)

    treatment, control = arm("t"), arm("c")
    # The first snapshots of some have no users yet.
    with np.errstate(divide="ignore", invalid="ignore"):
        error = column("variance_c") / control.users + column("variance_t") / treatment.users
    tau = np.array([streams[_key(row)]["tau"] for row in rows])
    series = {key: number for number, key in enumerate(streams)}
    codes = np.array([series[_key(row)] for row in rows])
    is_last = codes != np.append(codes[1:], -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        tuning = (control.users + treatment.users) * error * _SPREAD_AT_TUNING / tau**2
    return analyse(
        Comparisons.of(
            MetricType.MEAN,
            treatment,
            control,
            tuning_users=np.where(tuning > 0, tuning, np.nan),
            series=codes,
            as_of=np.arange(len(rows)),
            # The last snapshots are one family, every other one is alone.
            family=np.where(is_last, -1, np.arange(len(rows))),
            correction=Correction.BH,
            relative_method=RelativeMethod.DELTA,
        )
    )


def _error(expected: float, found: float) -> float:
    """How far they are apart as a share of what is expected; below the smallest float all is alike."""
    if math.isnan(found):
        return math.inf
    return abs(expected - found) / max(abs(expected), 1e-300)


def _within(name: str, errors: Iterable[float], tolerance: float) -> Figure:
    """How many of the series agree to this share of what is expected: all should."""
    found = list(errors)
    return Figure(f"{name} (within {tolerance:g})", len(found), sum(error <= tolerance for error in found))


def _counts(
    summary: Results, p_values: Mapping[tuple[str, str, str], float], always_valid: Mapping[tuple[str, str, str], float]
) -> Iterator[Series]:
    for name, expected, found in (
        ("significant at the end", "significant_at_end_welch", p_values),
        ("significant at any time, always valid", "always_valid_significant", always_valid),
    ):
        metrics = dict.fromkeys(summary[expected], 0)
        for key, p_value in found.items():
            metrics[key[2]] += p_value < _ALPHA
        yield Series(name, summary[expected], metrics)


def _ratios(results: Results) -> Iterator[Figure | Series]:
    tests = results["srm"]
    counts = np.array([[test["counts"]["control"], test["counts"]["treatment"]] for test in tests], dtype=np.float64)
    found = sample_ratio_p_values(np.repeat(np.arange(len(tests)), 2), counts.ravel(), np.ones(counts.size)).p_value
    errors = (_error(test["p_value"], float(p_value)) for test, p_value in zip(tests, found, strict=True))
    yield _within("sample ratio: p", errors, 1e-6)
    for limit, name in ((0.001, "srm_p_below_0_001"), (0.01, "srm_p_below_0_01")):
        yield Figure(f"sample ratio: p below {limit}", results["summary"][name], int((found < limit).sum()))
