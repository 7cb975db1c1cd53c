"""Results as a file for spreadsheets: the columns of `experiment_results` as they are called there."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from ingest_api.experiments.result_documents import clean

COLUMNS = (
    "experiment_id", "metric_id", "metric_name", "metric_type", "aggregation", "metric_role", "is_primary",
    "variant_id", "variant_name", "is_control", "control_variant_id", "dimension", "dimension_value", "as_of_date",
    "computed_at", "engine_version", "users", "control_users", "sum", "mean", "control_mean", "std_dev",
    "control_std_dev", "absolute_difference", "absolute_std_error", "absolute_ci_lower", "absolute_ci_upper",
    "relative_lift", "relative_std_error", "relative_ci_lower", "relative_ci_upper", "relative_ci_method",
    "test_method", "test_statistic", "degrees_of_freedom", "p_value", "p_value_adjusted", "correction_method", "alpha",
    "is_significant", "sequential_p_value", "sequential_p_value_adjusted", "sequential_ci_lower",
    "sequential_ci_upper", "sequential_relative_ci_lower", "sequential_relative_ci_upper",
    "sequential_tuning_parameter", "is_significant_sequential", "chance_to_win", "expected_loss", "posterior_mean",
    "posterior_std_dev", "credible_interval_lower", "credible_interval_upper", "prior_mean", "prior_std_dev",
    "prior_is_proper", "is_cuped_adjusted", "cuped_theta", "variance_reduction", "non_inferiority_margin",
    "non_inferiority_p_value", "guardrail_status", "mde_relative", "required_users", "runtime_days", "srm_p_value",
    "srm_detected", "multiple_exposure_users", "multiple_exposure_rate", "status", "validation_failures",
    "is_reliable",
)  # fmt: skip
_BEGINNINGS_OF_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def csv_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """A header and a line for each row; what is null is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # RFC 4180
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row.get(name)) for name in COLUMNS] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    value = clean(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return " ".join(str(one) for one in value)
    if isinstance(value, str) and value.startswith(_BEGINNINGS_OF_FORMULAS):
        # A name that somebody has chosen must not become a formula where the file is opened.
        return f"'{value}"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
