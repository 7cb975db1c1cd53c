"""What is known of a person, and which visits led to an order, when the person becomes known only then."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import Client, connect

COLUMNS = ["event_id", "event_name", "user_id", "anonymous_id", "occurred_at", "received_at", "properties"]
USERS, CREDIT = ("users", "user_days"), ("attribution_daily", "acquisition_daily")
SPRING = "/shoes?utm_source=news&utm_medium=email&utm_campaign=spring"


@pytest.fixture
def dbt(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("users"))
    dbt("seed")
    return dbt


@pytest.fixture
def client(dbt: Dbt) -> Iterator[Client]:
    client = connect(dbt.settings)
    yield client
    client.close()


def event(name: str, sender: tuple[str, str], moment: str, **properties: Any) -> list[Any]:
    """A row of COLUMNS; the event id says it all."""
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return [f"{name} {sender} {moment}", name, *sender, at, at, json.dumps(properties)]


def build(dbt: Dbt, client: Client, marts: tuple[str, ...], *events: list[Any]) -> None:
    """Let events arrive, and build these marts with what stands before them."""
    client.insert("events", events, column_names=COLUMNS, database=dbt.settings.database("raw"))
    dbt("run", "--select", *(f"+{mart}" for mart in marts))


def rows(dbt: Dbt, client: Client, table: str, columns: str) -> list[tuple[Any, ...]]:
    answer = client.query(f"SELECT {columns} FROM `{dbt.settings.database('marts')}`.{table} ORDER BY ALL")
    return [tuple(row) for row in answer.result_rows]


def test_user_takes_over_the_life_of_the_device(dbt: Dbt, client: Client) -> None:
    build(
        dbt,
        client,
        USERS,
        event("page_view", ("", "phone"), "2026-01-20T10:00", url=f"https://shop.example{SPRING}"),
        event("page_view", ("", "tablet"), "2026-02-01T10:00", page="/"),
    )
    before = rows(dbt, client, "users", "visitor_id, toString(last_seen_date), first_channel")

    build(
        dbt,
        client,
        USERS,
        event("identify", ("ann", "phone"), "2026-02-10T10:00", email="ann@shop.example", plan="free", age=30),
        event("$set", ("ann", ""), "2026-02-10T10:01", **{"$set": {"plan": "paid", "age": None}}),
        event("purchase", ("ann", ""), "2026-02-10T10:02", revenue="19.99", currency="EUR", order_id="o1"),
    )

    assert before == [("phone", "2026-01-20", "Email"), ("tablet", "2026-02-01", "Direct")]
    columns = "visitor_id, toString(first_seen_date), first_channel, first_utm_campaign, first_page, order_count"
    assert rows(dbt, client, "users", f"{columns}, revenue_amount, email, properties") == [
        ("ann", "2026-01-20", "Email", "spring", "/shoes", 1, Decimal("19.99"), "ann@shop.example",
         '{"email":"ann@shop.example","plan":"paid"}'),
        ("tablet", "2026-02-01", "Direct", "", "/", 0, 0, "", "{}"),
    ]  # fmt: skip
    assert rows(dbt, client, "user_days", "toString(activity_date), visitor_id, is_first_day, session_count") == [
        ("2026-01-20", "ann", True, 1),
        ("2026-02-01", "tablet", True, 1),
        ("2026-02-10", "ann", False, 1),
    ]


def test_visit_before_the_sign_up_gets_its_credit(dbt: Dbt, client: Client) -> None:
    build(
        dbt,
        client,
        CREDIT,
        event("page_view", ("", "phone"), "2026-01-20T10:00", url=f"https://shop.example{SPRING}"),
        event("purchase", ("ann", ""), "2026-02-10T10:02", revenue="19.99", currency="EUR", order_id="o1"),
    )
    credits_of = "attribution_model, channel, utm_campaign, attributed_order_count, attributed_revenue_amount"
    before = rows(dbt, client, "attribution_daily", credits_of)

    build(dbt, client, CREDIT, event("identify", ("ann", "phone"), "2026-02-11T10:00"))

    whole, amount = Decimal(1), Decimal("19.99")
    models = ("first_touch", "last_touch", "linear", "position_based")
    assert before == [(model, "Direct", "", whole, amount) for model in models]
    half = Decimal("0.5")
    assert rows(dbt, client, "attribution_daily", credits_of) == [
        ("first_touch", "Email", "spring", whole, amount),
        ("last_touch", "Email", "spring", whole, amount),
        ("linear", "Direct", "", half, amount / 2),
        ("linear", "Email", "spring", half, amount / 2),
        ("position_based", "Direct", "", half, amount / 2),
        ("position_based", "Email", "spring", half, amount / 2),
    ]
    figures = "toString(acquisition_date), channel, currency, session_count, new_visitor_count, order_count"
    assert rows(dbt, client, "acquisition_daily", figures) == [
        ("2026-01-20", "Email", "", 1, 1, 0),
        ("2026-02-10", "Direct", "", 1, 0, 0),
        ("2026-02-10", "Email", "EUR", 0, 0, 1),
        ("2026-02-11", "Direct", "", 1, 0, 0),
    ]


HOSTILE = (
    '{"$set":"text"}',
    '{"$set":["a"],"traits":{"kept":1}}',
    '{"traits":{"\\ud800":"\\udc00","a\\"b\\\\":"\\u0000"}}',
    '{"traits":{"deep":' + "[" * 500 + "]" * 500 + "}}",
    '{"name":{"first":"x"},"email":5,"age":' + "9" * 400 + "}",
    "no JSON",
    "[1]",
)


def test_hostile_traits_do_not_stop_the_build(dbt: Dbt, client: Client) -> None:
    at = datetime(2026, 2, 1, tzinfo=UTC)
    events = [[f"e{n}", "identify", f"user{n}", "", at, at, text] for n, text in enumerate(HOSTILE)]

    build(dbt, client, USERS, *events)

    counts = "count(), countIf(isValidJSON(properties)), countIf(isValidUTF8(properties))"
    assert rows(dbt, client, "users", counts) == [(len(HOSTILE),) * 3]
