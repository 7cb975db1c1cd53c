"""Rows of the tables that results are read from, in plain tables made from the contracts of the dbt project."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from warehouse.client import Client
from warehouse.config import WarehouseSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROJECT = Path(__file__).parents[3] / "dbt" / "models" / "marts"


def _promised(table: str) -> dict[str, str]:
    """Columns and types of a model's contract."""
    [file] = _PROJECT.glob(f"*/{table}.yml")
    [model] = yaml.safe_load(file.read_text())["models"]
    return {column["name"]: column["data_type"] for column in model["columns"]}


RESULT_COLUMNS = _promised("experiment_results")
_TABLES = {
    "experiment_results": RESULT_COLUMNS,
    **{table: _promised(table) for table in ("experiment_exposures_daily", "kpis_daily")},
}
_NUMBERS: dict[str, Any] = {
    "absolute_difference": 0.0041,
    "absolute_std_error": 0.001,
    "absolute_ci_lower": 0.0015,
    "absolute_ci_upper": 0.0067,
    "relative_lift": 0.041,
    "relative_std_error": 0.01,
    "relative_ci_lower": 0.015,
    "relative_ci_upper": 0.067,
    "relative_ci_method": "fieller",
    "test_method": "welch",
    "test_statistic": 4.1,
    "degrees_of_freedom": 19_998.0,
    "p_value": 4e-5,
    "p_value_adjusted": 8e-5,
    "correction_method": "holm",
    "alpha": 0.05,
    "is_significant": True,
    "sequential_p_value": 1e-3,
    "sequential_p_value_adjusted": 2e-3,
    "sequential_ci_lower": 0.0012,
    "sequential_ci_upper": 0.0070,
    "sequential_relative_ci_lower": 0.012,
    "sequential_relative_ci_upper": 0.07,
    "sequential_tuning_parameter": 5000.0,
    "is_significant_sequential": True,
    "chance_to_win": 0.999,
    "expected_loss": 1e-6,
    "posterior_mean": 0.041,
    "posterior_std_dev": 0.01,
    "credible_interval_lower": 0.02,
    "credible_interval_upper": 0.06,
    "prior_mean": 0.0,
    "prior_is_proper": False,
    "is_cuped_adjusted": False,
    "cuped_theta": 0.0,
    "variance_reduction": 0.0,
    "mde_relative": 0.03,
    "required_users": 14_700.0,
    "runtime_days": 7.0,
    "status": "ok",
    "is_reliable": True,
}
"""Of the variant in a row where nothing else is said: it wins."""


def create_tables(client: Client, settings: WarehouseSettings) -> None:
    marts = settings.database("marts")
    client.command(f"CREATE DATABASE {marts}")
    for table, columns in _TABLES.items():
        written = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        client.command(f"CREATE TABLE {marts}.{table} ({written}) ENGINE = MergeTree ORDER BY tuple()")


def insert(client: Client, settings: WarehouseSettings, table: str, *rows: dict[str, Any]) -> None:
    """Rows by column; what is left out is NULL or empty."""
    columns = _TABLES[table]
    values = [[row.get(name, _empty(kind)) for name, kind in columns.items()] for row in rows]
    client.insert(table, values, column_names=list(columns), database=settings.database("marts"))


def _empty(kind: str) -> Any:
    if "Nullable" in kind:
        return None
    if kind.startswith("Array"):
        return []
    return {"Bool": False, "UInt64": 0, "Float64": 0.0, "DateTime64(3, 'UTC')": _EPOCH}.get(kind, "")


def set_watermark(client: Client, settings: WarehouseSettings, moment: str) -> None:
    """Data received until then is in the tables."""
    insert_into = f"INSERT INTO {settings.database('ops')}.watermarks (model, high_watermark, committed_at)"
    client.command(f"{insert_into} VALUES ('experiment_exposures_daily', '{moment}', '{moment}')")


def result_rows(experiment_id: str, day: date, **members: Any) -> list[dict[str, Any]]:
    """The rows of the control and of `new` on a day. Members are of both; those of the estimates only of `new`."""
    shared = {
        "experiment_id": experiment_id,
        "metric_id": "signup",
        "metric_name": "Sign-up",
        "metric_type": "conversion",
        "aggregation": "rate",
        "metric_role": "goal",
        "is_primary": True,
        "control_variant_id": "control",
        "as_of_date": day,
        "engine_version": "1",
        "control_users": 10_000,
        "control_mean": 0.1,
        "control_std_dev": 0.3,
        "srm_p_value": 0.4,
        "srm_detected": False,
        **{name: value for name, value in members.items() if name not in _NUMBERS},
    }
    estimates = _NUMBERS | {name: value for name, value in members.items() if name in _NUMBERS}
    control = {"variant_id": "control", "variant_name": "Control", "is_control": True, "users": 10_000}
    new = {"variant_id": "new", "variant_name": "New", "users": 10_000}
    return [
        {**shared, **control, "mean": 0.1, "std_dev": 0.3, "sum": 1000},
        {**shared, **new, "mean": 0.1041, "std_dev": 0.3054, "sum": 1041, **estimates},
    ]


def exposure_row(experiment_id: str, variant_id: str, day: date, users: int, **members: int) -> dict[str, Any]:
    return {
        "experiment_id": experiment_id,
        "variant_id": variant_id,
        "exposure_date": day,
        "new_users": users,
        "expected_users": float(users),
        **members,
    }
