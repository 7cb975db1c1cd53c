from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from dagster_project.defs.resources import WarehouseResource
from tests.dagster_project.conftest import Prepared
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import FRESHNESS_PROBE

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def empty(environment: Prepared, warehouse_settings: WarehouseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_DATABASE", warehouse_settings.clickhouse_database)
    monkeypatch.setenv("ANALYTICS_RUN_INTERVAL_SECONDS", "300")


Evaluate = Callable[..., dg.SensorResult]


@pytest.fixture
def evaluate(empty: None, definitions: dg.Definitions, instance: dg.DagsterInstance) -> Evaluate:
    def evaluate(cursor: str | None = None) -> dg.SensorResult:
        resources = {"warehouse": WarehouseResource()}
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources)
        result = definitions.resolve_sensor_def("new_events_sensor")(context)
        assert isinstance(result, dg.SensorResult)
        return result

    return evaluate


def insert_events(
    client: Client, settings: WarehouseSettings, *inserted_at: datetime, event_name: str = "page_view"
) -> None:
    rows = [[f"event-{at.timestamp()}-{number}", event_name, at, at, at] for number, at in enumerate(inserted_at)]
    client.insert(
        "events",
        rows,
        column_names=["event_id", "event_name", "occurred_at", "received_at", "inserted_at"],
        database=settings.database("raw"),
    )


def commit_batch(client: Client, settings: WarehouseSettings, taken_until: datetime, committed_at: datetime) -> None:
    client.insert(
        "watermarks",
        [["stg_events", taken_until, committed_at]],
        column_names=["model", "high_watermark", "committed_at"],
        database=settings.database("ops"),
    )


def request_replay(client: Client, settings: WarehouseSettings, requested_at: datetime) -> None:
    client.insert(
        "replay_requests",
        [["visitor", requested_at, requested_at, "backfill", requested_at]],
        column_names=["visitor_id", "first_at", "last_at", "reason", "requested_at"],
        database=settings.database("ops"),
    )


def skip_message(result: dg.SensorResult) -> str:
    assert result.skip_reason is not None
    assert not result.run_requests
    return result.skip_reason.skip_message or ""


def test_sensor_skips_when_nothing_has_ever_arrived(evaluate: Evaluate) -> None:
    result = evaluate()

    assert skip_message(result) == "No event or replay request since the last batch."
    assert result.asset_events == []


def test_sensor_asks_for_a_run_and_reports_the_rows_when_events_have_arrived(
    evaluate: Evaluate, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    insert_events(warehouse, warehouse_settings, NOW - timedelta(seconds=9), NOW - timedelta(seconds=8))

    result = evaluate()

    assert result.run_requests is not None
    [request] = result.run_requests
    assert request.tags["arrived_until"] == (NOW - timedelta(seconds=8)).isoformat()
    [report] = result.asset_events
    assert report.asset_key == dg.AssetKey(["raw", "events"])
    assert report.metadata["new_rows"].value == 2


def test_sensor_reports_each_row_once_and_asks_once_for_the_same_state(
    evaluate: Evaluate, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    insert_events(warehouse, warehouse_settings, NOW - timedelta(seconds=9))
    first = evaluate()

    second = evaluate(cursor=first.cursor)

    assert second.asset_events == []
    assert first.run_requests is not None
    assert second.run_requests is not None
    assert [request.run_key for request in second.run_requests] == [request.run_key for request in first.run_requests]


def test_sensor_skips_when_the_models_have_taken_everything_in(
    evaluate: Evaluate, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    insert_events(warehouse, warehouse_settings, NOW - timedelta(hours=1))
    commit_batch(warehouse, warehouse_settings, NOW - timedelta(minutes=30), NOW - timedelta(minutes=29))

    result = evaluate()

    assert skip_message(result) == "No event or replay request since the last batch."


def test_sensor_waits_when_the_last_batch_is_younger_than_the_interval(
    evaluate: Evaluate, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    # Not the moment at which this module was imported, which may be minutes ago.
    now = datetime.now(UTC)
    commit_batch(warehouse, warehouse_settings, now - timedelta(seconds=20), now - timedelta(seconds=10))
    insert_events(warehouse, warehouse_settings, now)

    result = evaluate()

    assert "The last batch is younger than 300 s" in skip_message(result)
    assert len(result.asset_events) == 1


def test_sensor_sees_no_arrival_in_the_event_of_the_freshness_probe(
    evaluate: Evaluate, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    insert_events(warehouse, warehouse_settings, NOW - timedelta(hours=1))
    commit_batch(warehouse, warehouse_settings, NOW - timedelta(minutes=30), NOW - timedelta(minutes=29))
    insert_events(warehouse, warehouse_settings, NOW - timedelta(seconds=9), event_name=FRESHNESS_PROBE)

    result = evaluate(cursor=str((NOW - timedelta(minutes=30)).timestamp()))

    assert skip_message(result) == "No event or replay request since the last batch."
    assert result.asset_events == []


def test_sensor_sees_an_event_among_many_of_the_freshness_probe(
    evaluate: Evaluate, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    minutes = [NOW - timedelta(minutes=minute) for minute in range(20)]
    insert_events(warehouse, warehouse_settings, *minutes, event_name=FRESHNESS_PROBE)
    insert_events(warehouse, warehouse_settings, NOW - timedelta(minutes=15))

    result = evaluate()

    assert len(result.run_requests or []) == 1
    [report] = result.asset_events
    assert report.metadata["new_rows"].value == 1


def test_sensor_asks_again_for_rows_that_the_last_batch_left_behind(
    evaluate: Evaluate, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    commit_batch(warehouse, warehouse_settings, NOW - timedelta(minutes=11), NOW - timedelta(minutes=10))
    insert_events(warehouse, warehouse_settings, NOW - timedelta(minutes=10, seconds=30))

    result = evaluate(cursor=str(NOW.timestamp()))

    assert len(result.run_requests or []) == 1


def test_sensor_asks_for_a_run_when_a_replay_is_requested(
    evaluate: Evaluate, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    commit_batch(warehouse, warehouse_settings, NOW - timedelta(minutes=11), NOW - timedelta(minutes=10))
    request_replay(warehouse, warehouse_settings, NOW - timedelta(minutes=1))

    result = evaluate()

    assert len(result.run_requests or []) == 1
    assert result.asset_events == []


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_sensor_skips_while_a_run_is_queued_or_running(
    evaluate: Evaluate,
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    status: dg.DagsterRunStatus,
) -> None:
    insert_events(warehouse, warehouse_settings, NOW - timedelta(seconds=9))
    instance.add_run(dg.DagsterRun(job_name="nightly_checks_job", status=status))

    result = evaluate()

    assert skip_message(result).startswith("A run is queued or running")
