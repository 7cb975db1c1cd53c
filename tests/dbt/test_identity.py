"""A visitor who becomes known corrects the history: what counted for a device counts for its user from then on."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import Client, connect
from warehouse.raw_events import FRESHNESS_PROBE

COLUMNS = [
    *("event_id", "event_name", "user_id", "anonymous_id", "occurred_at", "received_at"),
    *("properties", "is_bot"),
]


@pytest.fixture
def dbt(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("identity"))
    dbt("seed")
    return dbt


@pytest.fixture
def client(dbt: Dbt) -> Iterator[Client]:
    client = connect(dbt.settings)
    yield client
    client.close()


def event(name: str, sender: tuple[str, str], moment: str, is_bot: bool = False, **properties: Any) -> list[Any]:
    """A row of COLUMNS; the event id says it all."""
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return [f"{name} {sender} {moment}", name, *sender, at, at, json.dumps(properties), is_bot]


def build(dbt: Dbt, client: Client, *events: list[Any]) -> None:
    client.insert("events", events, column_names=COLUMNS, database=dbt.settings.database("raw"))
    dbt("run", "--select", "+sessions", "+active_users_daily")


def sessions(dbt: Dbt, client: Client) -> list[tuple[str, str, int]]:
    """Visitor, day and number of events of each session."""
    table = f"`{dbt.settings.database('marts')}`.sessions"
    answer = client.query(f"SELECT visitor_id, toString(session_date), event_count FROM {table} ORDER BY started_at")
    return [(visitor, day, count) for visitor, day, count in answer.result_rows]


def active_users(dbt: Dbt, client: Client) -> list[tuple[str, int, int, int]]:
    """Day, active users of the day and of the month, and new users."""
    columns = "toString(activity_date), daily_active_users, monthly_active_users, new_users"
    table = f"`{dbt.settings.database('marts')}`.active_users_daily"
    answer = client.query(f"SELECT {columns} FROM {table} ORDER BY activity_date")
    return [(day, daily, monthly, new) for day, daily, monthly, new in answer.result_rows]


def test_history_of_a_device_moves_to_the_user_who_signs_up(dbt: Dbt, client: Client) -> None:
    build(
        dbt,
        client,
        event("page_view", ("", "phone"), "2026-01-31T10:00"),
        event("page_view", ("ann", ""), "2026-02-01T10:00"),
        event("page_view", ("", "tablet"), "2026-02-01T11:00"),
    )
    before = active_users(dbt, client)

    build(dbt, client, event("purchase", ("ann", "phone"), "2026-02-01T10:10", revenue=5))

    assert before == [("2026-01-31", 1, 1, 1), ("2026-02-01", 2, 3, 2)]
    assert sessions(dbt, client) == [
        ("ann", "2026-01-31", 1),
        ("ann", "2026-02-01", 2),
        ("tablet", "2026-02-01", 1),
    ]
    assert active_users(dbt, client) == [("2026-01-31", 1, 1, 1), ("2026-02-01", 2, 2, 1)]


def test_late_news_of_an_earlier_owner_move_a_device_again(dbt: Dbt, client: Client) -> None:
    build(
        dbt,
        client,
        event("page_view", ("", "phone"), "2026-01-31T10:00"),
        event("page_view", ("bob", "phone"), "2026-02-02T10:00"),
    )

    build(dbt, client, event("page_view", ("ann", "phone"), "2026-02-01T10:00"))

    assert sessions(dbt, client) == [
        ("ann", "2026-01-31", 1),
        ("ann", "2026-02-01", 1),
        ("bob", "2026-02-02", 1),
    ]


def test_events_under_a_former_user_id_and_its_devices_move_along(dbt: Dbt, client: Client) -> None:
    build(
        dbt,
        client,
        event("page_view", ("", "phone"), "2026-01-30T10:00"),
        event("page_view", ("old", "phone"), "2026-01-31T10:00"),
        event("alias", ("newest", ""), "2026-02-01T10:00", previousId="new"),
    )

    build(dbt, client, event("alias", ("new", ""), "2026-02-01T10:10", previousId="old"))

    assert sessions(dbt, client) == [
        ("newest", "2026-01-30", 1),
        ("newest", "2026-01-31", 1),
        ("newest", "2026-02-01", 2),
    ]


def test_bots_and_probes_are_staged_and_counted_nowhere(dbt: Dbt, client: Client) -> None:
    build(
        dbt,
        client,
        event("page_view", ("", "phone"), "2026-01-31T10:00"),
        event("purchase", ("crawler", "phone"), "2026-01-31T10:01", is_bot=True, revenue=5),
        event(FRESHNESS_PROBE, ("", "probe"), "2026-01-31T10:02"),
    )
    dbt("run", "--select", "+kpis_daily")

    staged = client.query(f"SELECT count() FROM `{dbt.settings.database('staging')}`.stg_events").result_rows
    kpis = client.query(
        f"SELECT metric, toInt64(value) FROM `{dbt.settings.database('marts')}`.kpis_daily "
        "WHERE metric IN ('events', 'sessions', 'orders', 'daily_active_users') AND dimension = ''"
    ).result_rows
    assert staged == [(3,)]
    assert dict(kpis) == {"events": 1, "sessions": 1, "orders": 0, "daily_active_users": 1}
    assert sessions(dbt, client) == [("phone", "2026-01-31", 1)]
