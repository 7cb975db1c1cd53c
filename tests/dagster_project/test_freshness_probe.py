"""The event a minute, sent through a real API and looked for in a real warehouse."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import msgspec
import pytest

from dagster_project.defs.raw.assets import ARRIVAL_CHECK
from dagster_project.defs.raw.freshness_probe import Observation, SentProbe, Verdict, judge, unanswered
from dagster_project.defs.resources import WarehouseResource
from ingest_api.config import StreamSettings
from ingest_api.events.flusher import open_flusher
from local_stack.processes import free_port
from tests.conftest import Valkey
from tests.dagster_project.conftest import Prepared
from tests.ingest_api.events.events_given import running, stored_ids
from tests.ingest_api.serving import api_settings, seconds_until, serving, write_key_for
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import FRESHNESS_PROBE

NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
LIMIT = timedelta(seconds=12)
Evaluate = Callable[..., dg.SensorResult | dg.SkipReason]


def sent(event_id: str, seconds_ago: float) -> SentProbe:
    return SentProbe(event_id, NOW - timedelta(seconds=seconds_ago))


def seen(**seconds_ago: float) -> Observation:
    return Observation(NOW, {event_id: NOW - timedelta(seconds=ago) for event_id, ago in seconds_ago.items()})


@pytest.mark.parametrize(
    ("probes", "observation", "verdict"),
    [
        pytest.param([], seen(), None, id="none was sent"),
        pytest.param([sent("a", 5)], seen(), None, id="it may still come"),
        pytest.param([sent("a", 60)], seen(a=58.5), Verdict(True, 1.5, ()), id="in time"),
        pytest.param([sent("a", 60)], seen(a=40), Verdict(False, 20.0, ()), id="too late"),
        pytest.param([sent("a", 13)], seen(), Verdict(False, None, ("a",)), id="overdue"),
        pytest.param([sent("a", 120), sent("b", 60)], seen(a=30, b=59), Verdict(True, 1.0, ()), id="newest counts"),
        pytest.param([sent("a", 120), sent("b", 60)], seen(b=59), Verdict(False, 1.0, ("a",)), id="one was lost"),
    ],
)
def test_judge_says_what_the_probes_mean(
    probes: list[SentProbe], observation: Observation, verdict: Verdict | None
) -> None:
    assert judge(probes, observation, LIMIT) == verdict


def test_probe_is_looked_for_until_it_has_arrived_but_no_longer_than_an_hour() -> None:
    probes = [sent("forgotten", 3601), sent("lost", 3500), sent("arrived", 60), sent("under way", 1)]

    left = unanswered(probes, seen(arrived=59))

    assert [probe.event_id for probe in left] == ["lost", "under way"]


@pytest.fixture
def arrivals_of(
    environment: Prepared, warehouse_settings: WarehouseSettings, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """Dagster's settings for this test's warehouse, still without a probe."""
    monkeypatch.setenv("CLICKHOUSE_DATABASE", warehouse_settings.clickhouse_database)
    monkeypatch.setenv("ANALYTICS_FLUSH_INTERVAL", "100")
    monkeypatch.delenv("ANALYTICS_PROBE_URL", raising=False)
    monkeypatch.delenv("ANALYTICS_PROBE_WRITE_KEY", raising=False)
    return monkeypatch


@pytest.fixture
def front_door(arrivals_of: pytest.MonkeyPatch, valkey: Valkey, warehouse_settings: WarehouseSettings) -> Iterator[str]:
    """A running API that the probe may be sent to; its address."""
    settings = api_settings(valkey.url)
    key, _ = write_key_for(settings, warehouse_settings.clickhouse_database, "probe")
    with serving(settings, warehouse_settings) as client:
        arrivals_of.setenv("ANALYTICS_PROBE_URL", str(client.base_url))
        arrivals_of.setenv("ANALYTICS_PROBE_WRITE_KEY", key)
        yield str(client.base_url)


@pytest.fixture
def carried(valkey: Valkey, warehouse_settings: WarehouseSettings) -> Iterator[None]:
    """A running flusher."""
    settings = StreamSettings(redis_url=valkey.url, analytics_flush_interval=100)
    with running(open_flusher(settings, warehouse_settings)):
        yield


@pytest.fixture
def evaluate(arrivals_of: object, definitions: dg.Definitions, instance: dg.DagsterInstance) -> Evaluate:
    def evaluate(cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"warehouse": WarehouseResource()}
        )
        result: Any = definitions.resolve_sensor_def("freshness_probe_sensor")(context)
        return result

    return evaluate


def report_in(result: dg.SensorResult | dg.SkipReason) -> dg.AssetCheckEvaluation:
    assert isinstance(result, dg.SensorResult)
    [report] = result.asset_events
    assert isinstance(report, dg.AssetCheckEvaluation)
    assert (report.asset_key, report.check_name) == (ARRIVAL_CHECK.asset_key, ARRIVAL_CHECK.name)
    return report


def test_sensor_skips_and_names_the_variable_that_is_not_set(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_PROBE_URL", "http://127.0.0.1:1")

    result = evaluate()

    assert isinstance(result, dg.SkipReason)
    assert "set ANALYTICS_PROBE_WRITE_KEY." in str(result.skip_message)


def test_sensor_measures_how_long_its_event_took(
    evaluate: Evaluate, front_door: str, carried: None, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    first = evaluate()
    assert isinstance(first, dg.SensorResult)
    [probe] = msgspec.json.decode(first.cursor or "", type=list[SentProbe])

    seconds_until(lambda: stored_ids(warehouse, warehouse_settings) == [probe.event_id])
    second = evaluate(first.cursor)

    assert first.asset_events == []
    report = report_in(second)
    assert report.passed
    assert 0 < float(str(report.metadata["seconds_to_arrive"].value)) < 10.2
    assert second.run_requests == []
    assert isinstance(second, dg.SensorResult)
    assert probe.event_id not in (second.cursor or "")
    [row] = warehouse.query(
        f"SELECT event_name, source FROM {warehouse_settings.database('raw')}.events LIMIT 1"
    ).result_rows
    assert row == (FRESHNESS_PROBE, "probe")


def test_check_fails_and_names_the_event_when_it_does_not_arrive(evaluate: Evaluate, front_door: str) -> None:
    overdue = SentProbe("overdue", datetime.now(UTC) - timedelta(seconds=30))

    result = evaluate(msgspec.json.encode([overdue]).decode())

    report = report_in(result)
    assert not report.passed
    assert report.metadata["missing_ids"].value == ["overdue"]
    assert "overdue" in (result.cursor or "")


@pytest.mark.parametrize("address", ["nobody listens", "valkey is away", "not an address"])
def test_check_fails_and_the_sensor_does_not_when_the_api_does_not_take_the_event(
    evaluate: Evaluate, front_door: str, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    without_valkey = api_settings(f"redis://127.0.0.1:{free_port()}")
    with serving(without_valkey, WarehouseSettings()) as client:
        urls = {
            "nobody listens": f"http://127.0.0.1:{free_port()}",
            "valkey is away": str(client.base_url),
            "not an address": "http://[",
        }
        monkeypatch.setenv("ANALYTICS_PROBE_URL", urls[address])

        result = evaluate()

    report = report_in(result)
    assert not report.passed
    words = "The API answered 503" if address == "valkey is away" else "does not answer at ANALYTICS_PROBE_URL"
    assert words in (report.description or "")
    assert result.cursor == "[]"


def test_check_fails_and_the_sensor_does_not_when_clickhouse_is_away(
    evaluate: Evaluate, front_door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_HOST", f"127.0.0.1:{free_port()}")
    cursor = msgspec.json.encode([sent("a", 0)]).decode()

    result = evaluate(cursor)

    report = report_in(result)
    assert not report.passed
    assert (report.description or "").startswith("ClickHouse cannot be asked")
    assert result.cursor == cursor


def test_dagster_keeps_the_result_that_the_sensor_reports(
    evaluate: Evaluate, front_door: str, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    overdue = SentProbe("overdue", datetime.now(UTC) - timedelta(seconds=30))
    report = report_in(evaluate(msgspec.json.encode([overdue]).decode()))

    instance.report_runless_asset_event(report)

    stored = instance.event_log_storage.get_latest_asset_check_execution_by_key([ARRIVAL_CHECK])
    assert stored[ARRIVAL_CHECK].status.value == "FAILED"
    assert ARRIVAL_CHECK in definitions.resolve_asset_graph().asset_check_keys


def test_check_executed_by_hand_sends_an_event_and_waits_for_it(
    front_door: str, carried: None, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    check = definitions.resolve_asset_graph().assets_def_for_key(ARRIVAL_CHECK)

    result = dg.materialize([check], instance=instance, selection=dg.AssetSelection.checks(ARRIVAL_CHECK))

    [evaluation] = result.get_asset_check_evaluations()
    assert evaluation.passed
    assert "seconds_to_arrive" in evaluation.metadata
