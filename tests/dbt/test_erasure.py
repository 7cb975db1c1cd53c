"""What a replay request does after rows were deleted: no mart keeps what is gone."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import Client, connect

KEPT, ERASED = datetime(2026, 2, 10, 10, tzinfo=UTC), datetime(2026, 1, 10, 10, tzinfo=UTC)


@pytest.fixture
def dbt(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    return Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("erasure"))


@pytest.fixture
def client(dbt: Dbt) -> Iterator[Client]:
    client = connect(dbt.settings)
    rows = [
        ["e1", "page_view", "ann", "", KEPT, '{"page":"/"}'],
        ["e2", "page_view", "", "phone", ERASED, '{"page":"/"}'],
        ["e4", "identify", "bob", "phone", ERASED, '{"email":"bob@example.com"}'],
        ["e3", "purchase", "bob", "phone", ERASED, '{"revenue":5}'],
    ]
    columns = ["event_id", "event_name", "user_id", "anonymous_id", "occurred_at", "properties", "received_at"]
    client.insert("events", [[*r, r[4]] for r in rows], column_names=columns, database=dbt.settings.database("raw"))
    yield client
    client.close()


def test_marts_lose_an_erased_visitor_even_where_a_month_becomes_empty(dbt: Dbt, client: Client) -> None:
    dbt("build", "--exclude-resource-type", "unit_test")

    for table in ("raw`.events", "staging`.stg_events"):
        client.command(
            f"DELETE FROM `{dbt.settings.clickhouse_database}_{table} WHERE user_id = 'bob' OR anonymous_id = 'phone'"
        )
    links = f"`{dbt.settings.database('intermediate')}`.int_identity_links"
    client.command(f"DELETE FROM {links} WHERE user_id = 'bob'")
    client.insert(
        "replay_requests",
        [["bob", ERASED, ERASED, "erasure"]],
        column_names=["visitor_id", "first_at", "last_at", "reason"],
        database=dbt.settings.database("ops"),
    )
    dbt("run")

    marts = dbt.settings.database("marts")
    days = {
        table: client.query(f"SELECT DISTINCT toString({day}) FROM `{marts}`.{table} ORDER BY 1").result_rows
        for table, day in {
            "sessions": "session_date",
            "sessions_daily": "session_date",
            "events_daily": "event_date",
            "revenue_daily": "revenue_date",
            "funnels": "entry_date",
            "user_days": "activity_date",
            "users": "last_seen_date",
            "pages_daily": "event_date",
            "acquisition_daily": "acquisition_date",
            "attribution_daily": "order_date",
        }.items()
    }
    assert days == {
        "sessions": [("2026-02-10",)],
        "sessions_daily": [("2026-02-10",)],
        "events_daily": [("2026-02-10",)],
        "revenue_daily": [],
        "funnels": [("2026-02-10",)],
        "user_days": [("2026-02-10",)],
        "users": [("2026-02-10",)],
        "pages_daily": [("2026-02-10",)],
        "acquisition_daily": [("2026-02-10",)],
        "attribution_daily": [],
    }
    totals = client.query(
        f"SELECT toInt64(sumIf(value, metric = 'sessions')), toInt64(sumIf(value, metric = 'events')), "
        f"countIf(metric = 'gross_revenue') FROM `{marts}`.kpis_daily WHERE dimension = ''"
    )
    assert totals.result_rows == [(1, 1, 0)]
    states = dbt.settings.database("intermediate")
    left = {
        table: client.query(f"SELECT count() FROM `{states}`.{table} FINAL WHERE visitor_id IN ('bob', 'phone')")
        for table in (
            *("int_identities", "int_events", "int_days_by_visitor", "int_visitor_days", "int_sessions"),
            *("int_user_days", "int_user_traits", "int_order_lines", "int_orders"),
        )
    }
    assert {table: answer.result_rows[0][0] for table, answer in left.items()} == dict.fromkeys(left, 0)
