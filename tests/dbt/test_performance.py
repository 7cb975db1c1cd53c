"""What late, moved and erased events do to the marts of performance."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import Client, connect

JANUARY, FEBRUARY = datetime(2026, 1, 10, 10, tzinfo=UTC), datetime(2026, 2, 10, 10, tzinfo=UTC)
COLUMNS = ("event_id", "event_name", "user_id", "anonymous_id", "occurred_at", "properties", "received_at")
MARTS = {
    "performance_daily": "metric, measurement_count, visitor_count, p75_value",
    "errors_daily": "error_count, affected_visitor_count, event_count, visitor_count",
    "api_latency_daily": "request_count, p50_ms, server_error_count",
}
MODELS = ("run", "--select", *(f"+{mart}" for mart in MARTS))


@pytest.fixture
def dbt(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    return Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("performance"))


@pytest.fixture
def client(dbt: Dbt) -> Iterator[Client]:
    client = connect(dbt.settings)
    yield client
    client.close()


def test_late_and_moved_events_change_their_day(dbt: Dbt, client: Client) -> None:
    store(dbt, client, ["a", "web_vital", "", "phone", FEBRUARY, {"name": "LCP", "value": 1000}])
    store(dbt, client, ["b", "web_vital", "ann", "", FEBRUARY, {"name": "LCP", "value": 2000}])
    store(dbt, client, ["c", "error", "", "phone", FEBRUARY, {"type": "network"}])
    dbt(*MODELS)
    assert overall(dbt, client, "performance_daily") == [("2026-02-10", "LCP", 2, 2, 1750)]
    assert overall(dbt, client, "errors_daily") == [("2026-02-10", 1, 1, 3, 2)]

    store(dbt, client, ["d", "identify", "ann", "phone", JANUARY, {}])
    store(dbt, client, ["e", "web_vital", "ann", "", FEBRUARY, {"name": "LCP", "value": 3000}])
    store(dbt, client, ["f", "api_request", "ann", "", JANUARY, {"path": "/", "duration_ms": 5, "status": 500}])
    dbt(*MODELS)

    increments = {mart: contents(dbt, client, mart) for mart in MARTS}
    assert overall(dbt, client, "performance_daily") == [("2026-02-10", "LCP", 3, 1, 2500)]
    assert overall(dbt, client, "errors_daily") == [("2026-01-10", 0, 0, 2, 1), ("2026-02-10", 1, 1, 4, 1)]
    assert overall(dbt, client, "api_latency_daily") == [("2026-01-10", 1, 5, 1)]
    dbt(*MODELS, "--full-refresh")
    assert {mart: contents(dbt, client, mart) for mart in MARTS} == increments


def test_marts_lose_what_was_erased_even_where_a_month_becomes_empty(dbt: Dbt, client: Client) -> None:
    for day, user in ((JANUARY, "bob"), (FEBRUARY, "ann")):
        store(dbt, client, [f"v-{user}", "web_vital", user, "", day, {"name": "CLS", "value": 0.5}])
        store(dbt, client, [f"e-{user}", "error", user, "", day, {}])
        store(dbt, client, [f"r-{user}", "api_request", user, "", day, {"duration_ms": 1}])
    dbt(*MODELS)

    for table in ("raw`.events", "staging`.stg_events"):
        client.command(f"DELETE FROM `{dbt.settings.clickhouse_database}_{table} WHERE user_id = 'bob'")
    client.insert(
        "replay_requests",
        [["bob", JANUARY, JANUARY, "erasure"]],
        column_names=["visitor_id", "first_at", "last_at", "reason"],
        database=dbt.settings.database("ops"),
    )
    dbt(*MODELS)

    assert overall(dbt, client, "performance_daily") == [("2026-02-10", "CLS", 1, 1, 0.5)]
    assert overall(dbt, client, "errors_daily") == [("2026-02-10", 1, 1, 3, 1)]
    assert overall(dbt, client, "api_latency_daily") == [("2026-02-10", 1, 1, 0)]


def store(dbt: Dbt, client: Client, event: list[Any]) -> None:
    """Insert one event: its id, name, user, device, time and properties."""
    *who, occurred_at, properties = event
    row = [*who, occurred_at, json.dumps(properties), occurred_at]
    client.insert("events", [row], column_names=COLUMNS, database=dbt.settings.database("raw"))


def overall(dbt: Dbt, client: Client, mart: str) -> list[tuple[Any, ...]]:
    """The rows of a mart for whole days."""
    answer = client.query(
        f"SELECT toString(event_date), {MARTS[mart]} FROM `{dbt.settings.database('marts')}`.{mart} "
        "WHERE dimension = '' ORDER BY 1"
    )
    return [tuple(row) for row in answer.result_rows]


def contents(dbt: Dbt, client: Client, mart: str) -> list[tuple[Any, ...]]:
    """All rows of a mart, without the time up to which it is refreshed."""
    table = f"`{dbt.settings.database('marts')}`.{mart}"
    answer = client.query(f"SELECT * EXCEPT refreshed_at FROM {table} ORDER BY ALL")
    return [tuple(row) for row in answer.result_rows]
