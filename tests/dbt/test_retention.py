"""What an erasure takes from the marts of retention."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import Client, connect

MODELS = ("run", "--select", "+rolling_retention", "+lifecycle_daily", "+lifecycle_weekly")
VISITS = {"ann": [(1, 10), (1, 12)], "bob": [(1, 10), (1, 31), (2, 20)], "cat": [(1, 9), (1, 12)]}
"""Month and day in 2026; 2026-01-05 and 2026-01-12 are Mondays."""


@pytest.fixture
def dbt(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    limits = {"retention_periods": {"day": 2, "week": 1, "month": 1}}
    return Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("retention"), limits)


@pytest.fixture
def client(dbt: Dbt) -> Iterator[Client]:
    client = connect(dbt.settings)
    visits = [(user, datetime(2026, *day, tzinfo=UTC)) for user, days in VISITS.items() for day in days]
    columns = ["event_id", "event_name", "user_id", "occurred_at", "received_at"]
    rows = [[f"e{number}", "page_view", user, at, at] for number, (user, at) in enumerate(visits)]
    client.insert("events", rows, column_names=columns, database=dbt.settings.database("raw"))
    yield client
    client.close()


def test_marts_end_where_the_events_that_are_left_end(dbt: Dbt, client: Client) -> None:
    dbt(*MODELS)
    assert rows(dbt, client, "SELECT max(activity_date), sum(new_users) FROM lifecycle_daily") == [("2026-02-20", 3)]

    # Of bob everything, of cat the first day.
    erase(dbt, client, "user_id = 'bob' OR user_id = 'cat' AND toDate(occurred_at) = '2026-01-09'", "bob", "cat")
    dbt(*MODELS)

    users = "new_users, returning_users, resurrecting_users, dormant_users"
    assert rows(dbt, client, f"SELECT activity_date, {users} FROM lifecycle_daily ORDER BY 1") == [
        ("2026-01-10", 1, 0, 0, 0),
        ("2026-01-11", 0, 0, 0, 1),
        ("2026-01-12", 1, 0, 1, 0),
    ]
    assert rows(dbt, client, f"SELECT week_date, {users} FROM lifecycle_weekly ORDER BY 1") == [
        ("2026-01-05", 1, 0, 0, 0),
        ("2026-01-12", 1, 1, 0, 0),
    ]
    figures = "cohort_date, period_number, cohort_size, retained_visitor_count"
    by_granularity = f"SELECT granularity, {figures} FROM %s ORDER BY 1, 2, 3"
    others = [
        ("month", "2026-01-01", 0, 2, 2),
        ("week", "2026-01-05", 0, 1, 1),
        ("week", "2026-01-05", 1, 1, 1),
        ("week", "2026-01-12", 0, 1, 1),
    ]
    assert rows(dbt, client, by_granularity % "retention") == [
        ("day", "2026-01-10", 0, 1, 1),
        ("day", "2026-01-10", 1, 1, 0),
        ("day", "2026-01-10", 2, 1, 1),
        ("day", "2026-01-12", 0, 1, 1),
        *others,
    ]
    assert rows(dbt, client, by_granularity % "rolling_retention") == [
        ("day", "2026-01-10", 0, 1, 1),
        ("day", "2026-01-10", 1, 1, 1),
        ("day", "2026-01-10", 2, 1, 1),
        ("day", "2026-01-12", 0, 1, 1),
        *others,
    ]


def erase(dbt: Dbt, client: Client, events: str, *visitors: str) -> None:
    """Delete events and ask for the days of their visitors in 2026 again."""
    for table in ("raw`.events", "staging`.stg_events"):
        client.command(f"DELETE FROM `{dbt.settings.clickhouse_database}_{table} WHERE {events}")
    span = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
    client.insert(
        "replay_requests",
        [[visitor, *span, "erasure"] for visitor in visitors],
        column_names=["visitor_id", "first_at", "last_at", "reason"],
        database=dbt.settings.database("ops"),
    )


def rows(dbt: Dbt, client: Client, sql: str) -> list[tuple[Any, ...]]:
    """What a query over the marts finds; dates as text."""
    answer = client.query(sql, settings={"database": dbt.settings.database("marts")})
    return [tuple(str(value) if hasattr(value, "isoformat") else value for value in row) for row in answer.result_rows]
