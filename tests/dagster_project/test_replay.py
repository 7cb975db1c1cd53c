"""A range of days is computed again because somebody materialized it in Dagster's page."""

from datetime import date

import dagster as dg
import pytest

from dagster_project.defs.resources import WarehouseResource
from tests.dagster_project.conftest import Prepared, Run, execute, fingerprints
from warehouse.client import Client
from warehouse.config import WarehouseSettings

RANGE = {"dagster/asset_partition_range_start": "2026-03-01", "dagster/asset_partition_range_end": "2026-03-03"}


def requests(client: Client, settings: WarehouseSettings) -> list[tuple[str, str, str, str]]:
    answer = client.query(
        f"SELECT visitor_id, toString(toDate(first_at)), toString(toDate(last_at)), reason "
        f"FROM {settings.database('ops')}.replay_requests ORDER BY visitor_id"
    )
    return [tuple(row) for row in answer.result_rows]


def test_one_run_asks_for_every_visitor_of_the_range_and_the_next_one_mends_what_was_damaged(
    first_run: Run,
    environment: Prepared,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    client: Client,
    no_requests_left: None,
) -> None:
    settings = environment.settings
    before = fingerprints(client, settings)
    for mart, damage in (("sessions", "DELETE WHERE 1"), ("revenue_daily", "UPDATE order_count = 7 WHERE 1")):
        client.command(f"ALTER TABLE {settings.database('marts')}.{mart} {damage} SETTINGS mutations_sync = 1")

    backfill = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(["ops", "replay_requests"])], tags=RANGE
    )

    assert requests(client, settings) == [
        ("ada", "2026-03-01", "2026-03-01", "backfill"),
        ("bob", "2026-03-01", "2026-03-02", "backfill"),
        ("eve", "2026-03-02", "2026-03-02", "backfill"),
    ]
    materialized = backfill.asset_materializations_for_node("ops__replay_requests")
    assert [event.partition for event in materialized] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert {event.metadata["visitors"].value for event in materialized} == {3}

    context = dg.build_sensor_context(instance=instance, resources={"warehouse": WarehouseResource()})
    with pytest.MonkeyPatch.context() as patience:
        patience.setenv("ANALYTICS_RUN_INTERVAL_SECONDS", "0")
        asked = definitions.resolve_sensor_def("new_events_sensor")(context)
    assert isinstance(asked, dg.SensorResult)
    assert len(asked.run_requests or []) == 1

    assert execute("hot_marts_job", instance).result.success
    assert fingerprints(client, settings) == before


def test_days_without_events_ask_for_nobody(
    first_run: Run, environment: Prepared, client: Client, no_requests_left: None
) -> None:
    from dagster_project.defs.ops.replay import request_replay

    assert request_replay(client, environment.settings, date(2026, 3, 3), date(2026, 4, 1)) == 0
    assert requests(client, environment.settings) == []


def test_backfill_before_the_first_build_says_so(
    environment: Prepared, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    from dagster_project.defs.ops.replay import request_replay

    with pytest.raises(dg.Failure, match="no run has built the models yet"):
        request_replay(warehouse, warehouse_settings, date(2026, 3, 1), date(2026, 3, 1))
