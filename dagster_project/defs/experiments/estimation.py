"""From moments to rows of `stats.experiment_estimates`. Nothing here asks the warehouse."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from dagster_project.defs.experiments.moments import MOMENTS, SERIES, Columns
from experiment_stats import ENGINE_VERSION
from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, Correction, MetricType
from experiment_stats.moments import Moments
from experiment_stats.sample_ratio import sample_ratio_p_values

MULTIPLE_EXPOSURE_RATE, MULTIPLE_EXPOSURE_USERS = 0.01, 10
"""More users than both of these saw several variants: an alarm (the defaults of GrowthBook)."""
KEYS = (*SERIES, "as_of_date")
_ARRIVALS = ("srm_p_value", "srm_detected", "multiple_exposure_users", "multiple_exposure_rate")
_METRIC_TYPES = {"conversion": MetricType.PROPORTION, "ratio": MetricType.RATIO}
_CORRECTIONS = {one.name.lower(): one for one in Correction}
_NULL = None


def estimate(moments: Columns, arrivals: Columns, computed_at: datetime) -> Columns:
    """Compute the estimates of every row in one pass.

    Args:
        moments: as `read_moments` gives them.
        arrivals: as `read_arrivals` gives them.
        computed_at: stands in every row.

    Returns:
        The columns of `stats.experiment_estimates`, one element for each row of the moments. In rows of a control
        there is only what is about all of the experiment.
    """
    count = len(moments["experiment_id"])
    is_treatment = ~moments["is_control"].astype(bool)
    estimates = analyse(comparisons_of({name: column[is_treatment] for name, column in moments.items()}))
    table: Columns = {name: moments[name] for name in KEYS}
    table["computed_at"] = _filled(count, computed_at)
    table["engine_version"] = _filled(count, ENGINE_VERSION)
    for name, values in estimates.columns().items():
        table[name] = _filled(count, _NULL)
        table[name][is_treatment] = nullable(values)
    quality = _quality(moments, arrivals)
    for name in _ARRIVALS:
        table[name] = nullable(quality[name])
    reasons, is_ok = _reasons(table["validation_failures"], quality)
    table["validation_failures"] = reasons
    table["is_reliable"] = _filled(count, _NULL)
    table["is_reliable"][is_treatment] = (is_ok & (table["p_value"] != _NULL))[is_treatment]
    return table


def comparisons_of(rows: Columns) -> Comparisons:
    """The question that each row of a treatment puts to the statistics."""
    users = rows["users"] + rows["control_users"]
    return Comparisons.of(
        np.array([_METRIC_TYPES.get(one, MetricType.MEAN) for one in rows["metric_type"]], dtype=np.int64),
        Moments(**{name: rows[name] for name in MOMENTS}),
        Moments(**{name: rows[f"control_{name}"] for name in MOMENTS}),
        is_increase_good=rows["is_increase_good"].astype(bool),
        alpha=rows["alpha"],
        tuning_users=rows["tuning_users"],
        prior_mean=rows["prior_mean"],
        prior_std_dev=rows["prior_std_dev"],
        non_inferiority_margin=rows["non_inferiority_margin"],
        is_guardrail=rows["metric_role"] == "guardrail",
        family=codes(rows, ("experiment_id", "as_of_date", "dimension")),
        correction=np.array([_CORRECTIONS[one] for one in rows["correction_method"]], dtype=np.int64),
        series=codes(rows, SERIES),
        as_of=np.array([day.toordinal() for day in rows["as_of_date"]], dtype=np.int64),
        daily_users=users / rows["days"],
    )


def codes(columns: Columns, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """A number for each row, the same for rows that agree in these columns."""
    known: dict[tuple[object, ...], int] = {}
    keys = zip(*(columns[name] for name in names), strict=True)
    return np.fromiter((known.setdefault(key, len(known)) for key in keys), np.int64, len(columns[names[0]]))


def nullable(values: npt.NDArray[np.generic]) -> npt.NDArray[np.object_]:
    """Values as ClickHouse takes them: NaN becomes None."""
    found = values.astype(object)
    if values.dtype == np.float64:
        found[np.isnan(values)] = None
    return found


def _quality(moments: Columns, arrivals: Columns) -> Columns:
    """What is known of all users of the row's experiment at its as-of date."""
    both = {name: np.concatenate([moments[name], arrivals[name]]) for name in ("experiment_id", "as_of_date")}
    group = codes(both, tuple(both))
    of_rows, of_arrivals = group[: len(moments["as_of_date"])], group[len(moments["as_of_date"]) :]
    length = int(group.max(initial=-1)) + 1
    is_known = arrivals["variant_id"] != ""
    ratios = sample_ratio_p_values(
        of_arrivals[is_known],
        (arrivals["new_users"] - arrivals["unexpected_users"])[is_known],
        arrivals["expected_users"][is_known],
        arrivals["unexpected_users"][is_known],
    )
    found: Columns = {name: np.zeros(length) for name in ("srm_detected", "unexpected_traffic")}
    found["srm_p_value"] = np.full(length, np.nan)
    found["srm_p_value"][ratios.group] = ratios.p_value
    found["srm_detected"][ratios.group] = ratios.is_mismatch
    counts = {
        name: np.bincount(of_arrivals, arrivals[name], length)
        for name in ("new_users", "multiple_exposure_users", "unknown_variant_users")
    }
    found["unexpected_traffic"][ratios.group] = ratios.unexpected_traffic
    found["unexpected_traffic"] += counts["unknown_variant_users"] > 0
    several = counts["multiple_exposure_users"]
    everybody = several + counts["new_users"]
    rate = several / np.where(everybody == 0, 1, everybody)
    by_row = {name: column[of_rows] for name, column in found.items()}
    return {
        "srm_p_value": by_row["srm_p_value"],
        "srm_detected": by_row["srm_detected"] > 0,
        "unexpected_traffic": by_row["unexpected_traffic"] > 0,
        "multiple_exposure_users": several[of_rows].astype(np.int64),
        "multiple_exposure_rate": rate[of_rows],
        "multiple_exposures": ((several > MULTIPLE_EXPOSURE_USERS) & (rate > MULTIPLE_EXPOSURE_RATE))[of_rows],
    }


def _reasons(
    of_estimates: npt.NDArray[np.object_], quality: Columns
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """Every reason for caution, and whether none of them forbids a decision."""
    about_all = {
        "sample_ratio_mismatch": quality["srm_detected"],
        "multiple_exposures": quality["multiple_exposures"],
        "unexpected_traffic": quality["unexpected_traffic"],
    }
    found = np.empty(len(of_estimates), dtype=object)
    is_ok = ~(about_all["sample_ratio_mismatch"] | about_all["multiple_exposures"])
    for row, own in enumerate(of_estimates):
        found[row] = [*(own or ()), *(reason for reason, holds in about_all.items() if holds[row])]
        is_ok[row] &= "low_counts" not in found[row]
    return found, is_ok


def _filled(count: int, value: object) -> npt.NDArray[np.object_]:
    column = np.empty(count, dtype=object)
    column[:] = value
    return column
