from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from tests.dagster_project.conftest import Prepared
from warehouse.client import Client
from warehouse.config import WarehouseSettings

NOW = datetime.now(UTC)


def reject(client: Client, settings: WarehouseSettings, *rejections: tuple[str, str, str, timedelta]) -> None:
    """Store rejections: id, code, source and age of each."""
    client.insert(
        "rejected_events",
        [[rejection_id, code, source, NOW - age] for rejection_id, code, source, age in rejections],
        column_names=["rejection_id", "code", "source", "received_at"],
        database=settings.database("raw"),
    )


def replay(client: Client, settings: WarehouseSettings, **outcomes: str) -> None:
    """Store attempts: the outcome by the id of the rejection."""
    client.insert(
        "quarantine_replays",
        [[rejection_id, outcome] for rejection_id, outcome in outcomes.items()],
        column_names=["rejection_id", "outcome"],
        database=settings.database("raw"),
    )


def accept(client: Client, settings: WarehouseSettings, count: int, age: timedelta, name: str = "page_view") -> None:
    client.insert(
        "events",
        [[f"{name}-{age}-{number}", name, NOW - age] for number in range(count)],
        column_names=["event_id", "event_name", "received_at"],
        database=settings.database("raw"),
    )


@pytest.mark.parametrize(
    ("accepted", "rejected", "passed", "severity"),
    [
        (0, 0, True, "WARN"),
        (0, 99, True, "ERROR"),
        (0, 100, False, "ERROR"),
        (99, 1, True, "WARN"),
        (989, 11, False, "WARN"),
        (900, 100, False, "WARN"),
        (899, 101, False, "ERROR"),
    ],
)
def test_share_check_warns_above_one_percent_and_fails_above_ten(
    environment: Prepared, accepted: int, rejected: int, passed: bool, severity: str
) -> None:
    from dagster_project.defs.raw.quarantine_checks import Reason, judge_share

    reasons = [Reason("too_long", "web", rejected, NOW, NOW)] if rejected else []
    result = judge_share(accepted, reasons)

    assert result.passed is passed
    assert result.severity.value == severity
    assert result.metadata["rejected"].value == rejected


def test_share_check_shows_reasons_and_sources(environment: Prepared) -> None:
    from dagster_project.defs.raw.quarantine_checks import Reason, judge_share

    reasons = [Reason("too_long", "web", 90, NOW, NOW), Reason("field_missing", "ios", 10, NOW, NOW)]
    result = judge_share(900, reasons)

    assert result.description == "100 of 1,000 events of the last 24 hours are rejected."
    assert [
        (row.data["code"], row.data["source"], row.data["events"]) for row in result.metadata["reasons"].records
    ] == [
        ("too_long", "web", 90),
        ("field_missing", "ios", 10),
    ]


@pytest.mark.parametrize(("waiting", "passed"), [(0, True), (3, False)])
def test_waiting_check_warns_while_something_waits(environment: Prepared, waiting: int, passed: bool) -> None:
    from dagster_project.defs.raw.quarantine_checks import Reason, judge_waiting

    result = judge_waiting([Reason("too_long", "web", waiting, NOW, NOW)] if waiting else [])

    assert result.passed is passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["waiting"].value == waiting


def test_rejection_counts_once_until_it_was_replayed_with_success(
    environment: Prepared, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    from dagster_project.defs.raw.quarantine_checks import read_waiting

    hour = timedelta(hours=1)
    reject(warehouse, warehouse_settings, *((name, "too_long", "web", hour) for name in ("a", "b", "c")))
    reject(warehouse, warehouse_settings, ("a", "too_long", "web", hour), ("d", "too_long", "ios", hour))
    reject(warehouse, warehouse_settings, ("old", "too_long", "web", timedelta(hours=25)))
    replay(warehouse, warehouse_settings, b="accepted", c="rejected")

    reasons = read_waiting(warehouse, warehouse_settings, NOW - timedelta(days=1))

    assert [(reason.code, reason.source, reason.count) for reason in reasons] == [
        ("too_long", "web", 2),
        ("too_long", "ios", 1),
    ]


def test_accepted_events_are_those_of_the_span_without_the_probe(
    environment: Prepared, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    from dagster_project.defs.raw.quarantine_checks import count_accepted

    accept(warehouse, warehouse_settings, 5, timedelta(hours=23))
    accept(warehouse, warehouse_settings, 7, timedelta(hours=25))
    accept(warehouse, warehouse_settings, 3, timedelta(hours=1), name="$freshness_probe")

    assert count_accepted(warehouse, warehouse_settings, NOW - timedelta(days=1)) == 5


def test_checks_run_on_the_warehouse_and_belong_to_the_hourly_job(
    environment: Prepared,
    definitions: dg.Definitions,
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dagster_project.defs.raw.quarantine_checks import quarantine_checks
    from dagster_project.defs.resources import WarehouseResource

    monkeypatch.setenv("CLICKHOUSE_DATABASE", warehouse_settings.clickhouse_database)
    accept(warehouse, warehouse_settings, 98, timedelta(hours=1))
    reject(warehouse, warehouse_settings, *((name, "too_long", "web", timedelta(hours=1)) for name in ("a", "b")))
    reject(warehouse, warehouse_settings, ("c", "too_long", "web", timedelta(days=2)))

    alone = dg.Definitions(
        asset_checks=[quarantine_checks],
        jobs=[dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())],
        resources={"warehouse": WarehouseResource()},
    )
    result = alone.resolve_job_def("checks").execute_in_process()

    evaluations = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert {name: one.passed for name, one in evaluations.items()} == {
        "rejected_share_is_low": False,
        "no_rejected_event_waits": False,
    }
    assert evaluations["rejected_share_is_low"].metadata["rejected_share"].value == 0.02
    assert evaluations["no_rejected_event_waits"].metadata["waiting"].value == 3
    hourly = definitions.resolve_job_def("hourly_marts_job").asset_layer.asset_graph
    assert quarantine_checks.check_keys <= hourly.asset_check_keys
