"""What the statistics need of the warehouse: moments beside those of the control, definitions, and arrivals."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.client import Client
from warehouse.config import WarehouseSettings

Columns = dict[str, npt.NDArray[Any]]
"""One array a column, all of the same length. Numbers are float64 with NaN for NULL, everything else is as it comes."""

MOMENTS = (
    "users",
    "main_sum",
    "main_sum_squares",
    "denominator_sum",
    "denominator_sum_squares",
    "main_denominator_sum_product",
    "covariate_sum",
    "covariate_sum_squares",
    "main_covariate_sum_product",
)
"""Fields of `experiment_stats.moments.Moments`."""
SERIES = ("experiment_id", "metric_id", "variant_id", "dimension", "dimension_value")
_OF_CONTROL = ", ".join(
    f"anyIf(toFloat64(moments.{name}), variants.is_control) OVER one_comparison AS control_{name}" for name in MOMENTS
)
_ROWS = f"""
SELECT
    {", ".join(f"moments.{name} AS {name}" for name in SERIES)},
    moments.as_of_date AS as_of_date,
    {", ".join(f"toFloat64(moments.{name}) AS {name}" for name in MOMENTS)},
    {_OF_CONTROL},
    variants.is_control AS is_control,
    metrics.metric_type AS metric_type,
    metrics.metric_role AS metric_role,
    metrics.is_increase_good AS is_increase_good,
    metrics.non_inferiority_margin AS non_inferiority_margin,
    round(1 - experiments.confidence_level, 12) AS alpha,
    experiments.correction_method AS correction_method,
    experiments.prior_mean AS prior_mean,
    experiments.prior_std_dev AS prior_std_dev,
    experiments.planned_users * 2 / length(experiments.variant_ids) AS tuning_users,
    dateDiff('day', toDate(experiments.started_at), moments.as_of_date) + 1 AS days
FROM {{marts:Identifier}}.experiment_metric_aggregates AS moments
INNER JOIN {{intermediate:Identifier}}.int_experiment_metrics AS metrics
    ON moments.experiment_id = metrics.experiment_id AND moments.metric_id = metrics.metric_id
INNER JOIN {{intermediate:Identifier}}.int_experiment_variants AS variants
    ON moments.experiment_id = variants.experiment_id AND moments.variant_id = variants.variant_id
INNER JOIN {{intermediate:Identifier}}.int_experiments AS experiments
    ON moments.experiment_id = experiments.experiment_id
WINDOW one_comparison AS (
    PARTITION BY
        moments.experiment_id, moments.metric_id, moments.dimension, moments.dimension_value, moments.as_of_date
)
ORDER BY experiment_id, metric_id, dimension, dimension_value, variant_id, as_of_date
"""  # noqa: S608
_ARRIVALS = """
SELECT
    arrived.experiment_id AS experiment_id,
    days.as_of_date AS as_of_date,
    arrived.variant_id AS variant_id,
    toFloat64(sum(arrived.new_users)) AS new_users,
    toFloat64(sum(arrived.unexpected_users)) AS unexpected_users,
    sum(arrived.expected_users) AS expected_users,
    toFloat64(sum(arrived.multiple_exposure_users)) AS multiple_exposure_users,
    toFloat64(sum(arrived.unknown_variant_users)) AS unknown_variant_users
FROM {marts:Identifier}.experiment_exposures_daily AS arrived
INNER JOIN (SELECT DISTINCT experiment_id, as_of_date FROM {marts:Identifier}.experiment_metric_aggregates) AS days
    ON arrived.experiment_id = days.experiment_id
WHERE arrived.exposure_date <= days.as_of_date
GROUP BY experiment_id, as_of_date, variant_id
ORDER BY experiment_id, as_of_date, variant_id
"""
_NUMBERS = frozenset(
    (
        *MOMENTS,
        *(f"control_{name}" for name in MOMENTS),
        *("non_inferiority_margin", "alpha", "prior_mean", "prior_std_dev", "tuning_users", "days"),
        *("new_users", "unexpected_users", "expected_users", "multiple_exposure_users", "unknown_variant_users"),
    )
)

_OTHERS = ("is_control", "metric_type", "metric_role", "is_increase_good", "correction_method")


def read_moments(client: Client, settings: WarehouseSettings) -> Columns:
    """Every row of `experiment_metric_aggregates`, also those of controls, beside the moments of its control."""
    return _columns(client, settings, _ROWS, (*SERIES, "as_of_date", *_NUMBERS, *_OTHERS))


def read_arrivals(client: Client, settings: WarehouseSettings) -> Columns:
    """Users who had come to each variant until each as-of date; the variant is empty for unknown ones."""
    return _columns(client, settings, _ARRIVALS, ("experiment_id", "as_of_date", "variant_id", *_NUMBERS))


def _columns(client: Client, settings: WarehouseSettings, sql: str, names: Iterable[str]) -> Columns:
    databases = {"marts": settings.database("marts"), "intermediate": settings.database("intermediate")}
    answer = client.query(sql, parameters=databases, column_oriented=True)
    # An answer without rows does not even name its columns.
    found = dict(zip(answer.column_names, answer.result_columns, strict=True)) or dict.fromkeys(names, ())
    return {
        name: np.asarray(values, dtype=np.float64 if name in _NUMBERS else object) for name, values in found.items()
    }
