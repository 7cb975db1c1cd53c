"""A check that dbt cannot make: that a model which succeeds also moves on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.defs.resources import WarehouseResource
from dagster_project.defs.transform.project import dbt_project, manifest
from dagster_project.defs.transform.translator import translator
from warehouse.client import Client
from warehouse.config import WarehouseSettings

NAME = "watermark_is_recent"
WARN_AFTER = timedelta(minutes=15)
FAIL_AFTER = timedelta(hours=1)


def incremental_models() -> list[dg.AssetKey]:
    """The models that take in arrivals step by step and note in `ops.watermarks` how far they are."""
    return [
        translator.get_asset_spec(manifest(), unique_id, dbt_project()).key
        for unique_id, node in manifest()["nodes"].items()
        if node["resource_type"] == "model" and node["config"]["materialized"] == "incremental"
    ]


def read_watermarks(client: Client, settings: WarehouseSettings) -> dict[str, datetime]:
    """How far each model is: the arrival time until which it has read everything."""
    answer = client.query(
        "SELECT model, argMax(high_watermark, committed_at) FROM {ops:Identifier}.watermarks GROUP BY model",
        parameters={"ops": settings.database("ops")},
    )
    return {str(row[0]): row[1] for row in answer.result_rows}


def judge(key: dg.AssetKey, watermark: datetime | None, now: datetime) -> dg.AssetCheckResult:
    """Pass up to 15 minutes behind, warn up to an hour, fail after that or without any watermark."""
    if watermark is None:
        return dg.AssetCheckResult(
            passed=False, asset_key=key, check_name=NAME, description="The model has never committed a watermark."
        )
    behind = now - watermark
    return dg.AssetCheckResult(
        passed=behind <= WARN_AFTER,
        severity=dg.AssetCheckSeverity.ERROR if behind > FAIL_AFTER else dg.AssetCheckSeverity.WARN,
        asset_key=key,
        check_name=NAME,
        metadata={
            "seconds_behind": round(behind.total_seconds(), 3),
            "high_watermark": dg.MetadataValue.timestamp(watermark),
        },
    )


@dg.multi_asset_check(
    name="watermarks",
    specs=[
        dg.AssetCheckSpec(
            NAME,
            asset=key,
            description="Everything that arrived until 15 minutes ago is in. A model that stands still although its "
            "runs succeed waits for an upstream model that is not built in its lane.",
        )
        for key in incremental_models()
    ],
    can_subset=True,
)
def watermark_checks(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
) -> Iterator[dg.AssetCheckResult]:
    """Read all watermarks in one statement and judge those of the selected models."""
    with warehouse.client() as client:
        watermarks = read_watermarks(client, warehouse.settings)
    now = datetime.now(UTC)
    for check in sorted(context.selected_asset_check_keys):
        yield judge(check.asset_key, watermarks.get(check.asset_key.path[-1]), now)
