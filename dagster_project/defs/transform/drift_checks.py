"""Checks that what increments have left in a table is what its model would build anew from the tables it reads."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
import yaml

from dagster_project.config import DBT_DIRECTORY
from dagster_project.defs.resources import DbtCommand, WarehouseResource
from dagster_project.defs.transform.assets import WAREHOUSE_POOL, ended
from dagster_project.defs.transform.project import dbt_project, manifest
from dagster_project.defs.transform.translator import translator
from warehouse.client import Client
from warehouse.config import Layer, WarehouseSettings

NAME = "equals_a_rebuild"
_BOOKKEEPING = ("_version", "_is_deleted", "inserted_at", "refreshed_at")
"""Columns that say when a row was written, not what."""
_FINGERPRINT = "SELECT count(), sum(cityHash64(*)) FROM (SELECT {columns} FROM {rows})"


class DriftCheck(dg.Config):
    """Choices at launch."""

    nights: int = 7
    """Each night compares one of so many parts of the tables, which bounds its cost; 1 compares all of them now."""


def comparable_models(manifest: Mapping[str, Any]) -> dict[dg.AssetKey, Mapping[str, Any]]:
    """The incremental models whose table holds nothing but what a rebuild would give: the others never forget a row."""
    return {
        translator.get_asset_spec(manifest, unique_id, dbt_project()).key: node
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model"
        and node["config"]["materialized"] == "incremental"
        and (
            node["config"]["incremental_strategy"] == "insert_overwrite"
            or "_is_deleted" in node["config"].get("engine", "")
        )
    }


def due(keys: list[dg.AssetKey], night: int, nights: int) -> list[dg.AssetKey]:
    """The part of the tables whose turn it is."""
    return [key for place, key in enumerate(sorted(keys)) if (place + night) % nights == 0]


def dbt_settings() -> dict[str, Any]:
    """How ClickHouse is to read the SQL of the models: the settings of dbt's profile."""
    profile = yaml.safe_load((DBT_DIRECTORY / "profiles.yml").read_text())["analytics"]
    settings: dict[str, Any] = profile["outputs"][profile["target"]]["custom_settings"]
    return settings


def columns_to_compare(node: Mapping[str, Any]) -> str:
    """What the table says, without when it was written."""
    return ", ".join(f"`{column}`" for column in node["columns"] if column not in _BOOKKEEPING)


def compare(
    client: Client, settings: WarehouseSettings, key: dg.AssetKey, node: Mapping[str, Any], sql: str
) -> dg.AssetCheckResult:
    """Compare the table of a model with the rows that the model's SQL for a full refresh selects."""
    layer, table = key.path
    merged = "FINAL" if node["config"].get("engine") else ""
    stored, rebuilt = (
        client.query(
            _FINGERPRINT.format(columns=columns_to_compare(node), rows=rows),
            parameters={"database": settings.database(cast(Layer, layer)), "table": table},
            settings=dbt_settings(),
        ).result_rows[0]
        for rows in (f"{{database:Identifier}}.{{table:Identifier}} {merged}", f"({sql})")
    )
    return dg.AssetCheckResult(
        passed=stored == rebuilt,
        asset_key=key,
        check_name=NAME,
        metadata={"stored_rows": stored[0], "rebuilt_rows": rebuilt[0]},
    )


@dg.multi_asset_check(
    name="drift",
    specs=[
        dg.AssetCheckSpec(
            NAME,
            asset=key,
            description="The table holds what its model would build anew from the tables it reads. A seventh of the "
            "tables is compared each night; launched with `nights: 1`, all of them. A full refresh mends a difference.",
        )
        for key in comparable_models(manifest())
    ],
    can_subset=True,
    pool=WAREHOUSE_POOL,
)
def drift_checks(
    context: dg.AssetCheckExecutionContext, config: DriftCheck, dbt: DbtCommand, warehouse: WarehouseResource
) -> Iterator[dg.AssetCheckResult]:
    """Let dbt write the SQL of the models whose turn it is, and compare each with its table."""
    models = comparable_models(manifest())
    selected = [check.asset_key for check in context.selected_asset_check_keys]
    tonight = due(selected, datetime.now(UTC).toordinal(), config.nights)
    if not tonight:
        return
    names = " ".join(".".join(models[key]["fqn"]) for key in tonight)
    with ended(dbt.cli(["compile", "--full-refresh", "--select", names], manifest=manifest())) as command:
        compiled = command.wait().target_path / "compiled" / manifest()["metadata"]["project_name"]
    with warehouse.client() as client:
        for key in tonight:
            sql = (compiled / models[key]["original_file_path"]).read_text()
            yield compare(client, warehouse.settings, key, models[key], sql)
