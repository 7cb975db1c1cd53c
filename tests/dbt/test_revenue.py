"""Orders and subscriptions follow their rules, whatever arrives in whatever order, and forget what is erased."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from tests.dbt.plain_revenue import Deed, mrr_movements, orders_of, revenue_by_dimension
from warehouse.client import Client, connect

MARTS = (
    "orders",
    "revenue_daily",
    "revenue_by_dimension_daily",
    "customer_cohorts",
    "mrr_movements",
    "mrr_daily",
    "subscriptions",
)
REVENUE = "+path:models/marts/revenue"
START = datetime(2026, 1, 29, tzinfo=UTC)
NAMES = ("purchase",) * 6 + ("refund",) * 3 + ("subscription_started", "subscription_changed", "subscription_changed")
NAMES += ("subscription_renewed", "subscription_cancelled")
SENDERS = (("ann", ""), ("bob", ""), ("eve", ""), ("", "phone"), ("", "tablet"))
LINKS = {"phone": "ann", "tablet": "tablet"}
"""Whom a device belongs to, once the last batch has told."""

COLUMNS = ("event_id", "event_name", "user_id", "anonymous_id", "occurred_at", "received_at", "properties", "country")


@dataclass(frozen=True, slots=True)
class Built:
    """An environment after its last run, and what happened in it."""

    dbt: Dbt
    client: Client
    deeds: list[Deed]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        parameters = {"marts": self.dbt.settings.database("marts")}
        return [tuple(row) for row in self.client.query(sql, parameters=parameters).result_rows]

    def fingerprints(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            mart: self.rows(
                "SELECT count(), groupBitXor(row), sum(row) FROM ("
                f"SELECT cityHash64(*) AS row FROM (SELECT * EXCEPT refreshed_at FROM {{marts:Identifier}}.{mart}))"
            )
            for mart in MARTS
        }


def happen(chance: random.Random, number: int) -> tuple[Deed, tuple[str, str]]:
    """A random event of few orders and subscriptions within a week, on both sides of the end of a month."""
    name, sender = chance.choice(NAMES), chance.choice(SENDERS)
    is_order = name in ("purchase", "refund")
    deed = Deed(
        event_id=f"e{number}",
        name=name,
        visitor=sender[0] or LINKS[sender[1]],
        occurred_at=START + timedelta(hours=chance.randrange(24 * 7), milliseconds=chance.choice((0, 0, 1))),
        subject=f"o{chance.randint(1, 14)}" if is_order else chance.choice(("s1", "s2", "")),
        amount=chance.choice((Decimal("10"), Decimal("2.5"), Decimal("-4"), None)),
        currency=chance.choice(("EUR", "USD")) if is_order else chance.choice(("EUR", "EUR", "EUR", "GBP", "")),
        product=chance.choice(("p1", "p2", "")) if is_order else "",
        listed=chance.choice(((), (), (("p1", Decimal("2")), ("p3", Decimal("0.5"))))) if is_order else (),
        country=chance.choice(("DE", "US")),
    )
    return deed, sender


def row(deed: Deed, sender: tuple[str, str]) -> list[Any]:
    """The event as it is stored in the raw table."""
    is_order = deed.name in ("purchase", "refund")
    properties = {
        "order_id" if is_order else "subscription_id": deed.subject,
        "product_id": deed.product,
        "products": [{"sku": product, "price": str(amount / 2), "quantity": 2} for product, amount in deed.listed],
        "revenue" if is_order else "mrr": None if deed.amount is None else str(deed.amount),
        "currency": deed.currency,
    }
    moment = deed.occurred_at
    return [deed.event_id, deed.name, *sender, moment, START + timedelta(days=30), json.dumps(properties), deed.country]


@pytest.fixture(scope="module")
def grown(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Built in increments; then a device turned out to be a customer's, and another customer was erased."""
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("grown"))
    client, chance = connect(dbt.settings), random.Random(7)
    raw = dbt.settings.database("raw")
    told = [happen(chance, number) for number in range(160)]
    dbt("seed")
    link = ["link", "identify", "ann", "phone", START, START, "{}", ""]
    stored = [*(row(*each) for each in told), link]
    for begin, end in ((0, 90), (90, 92), (92, 161)):
        client.insert("events", stored[begin:end], column_names=COLUMNS, database=raw)
        dbt("run", "--select", REVENUE)
    for table in ("raw`.events", "staging`.stg_events"):
        client.command(f"DELETE FROM `{dbt.settings.clickhouse_database}_{table} WHERE user_id = 'eve'")
    request = [["eve", START, START + timedelta(days=8), "erasure"]]
    names = ["visitor_id", "first_at", "last_at", "reason"]
    client.insert("replay_requests", request, column_names=names, database=dbt.settings.database("ops"))
    dbt("run", "--select", REVENUE)
    yield Built(dbt, client, [deed for deed, sender in told if sender[0] != "eve"])
    client.close()


def test_increments_equal_a_full_refresh(grown: Built, gateway: Gateway, tmp_path: Any) -> None:
    dbt = Dbt(fresh_settings(gateway), tmp_path)
    client = connect(dbt.settings)
    raw = f"`{grown.dbt.settings.database('raw')}`.events"
    client.command(f"INSERT INTO `{dbt.settings.database('raw')}`.events SELECT * FROM {raw}")

    own = ("--indirect-selection", "buildable", "--exclude-resource-type", "unit_test")
    dbt("build", "--select", REVENUE, *own)

    rebuilt = replace(grown, dbt=dbt, client=client).fingerprints()
    client.close()
    assert grown.fingerprints() == rebuilt


def test_orders_equal_a_plain_count(grown: Built) -> None:
    expected = {
        key: (o.first_line.visitor, o.first_line.occurred_at, o.number, o.first_date, o.gross, o.refunds)
        for key, o in orders_of(grown.deeds).items()
    }

    found = grown.rows(
        "SELECT order_id, toString(currency), visitor_id, ordered_at, order_number, first_order_date, "
        "gross_revenue_amount, refund_amount FROM {marts:Identifier}.orders"
    )

    assert {(order, currency): facts for order, currency, *facts in map(list, found)} == {
        key: list(facts) for key, facts in expected.items()
    }


def test_dimensions_equal_a_plain_count(grown: Built) -> None:
    expected = revenue_by_dimension(grown.deeds)

    found = grown.rows(
        "SELECT revenue_date, toString(dimension), dimension_value, toString(currency), order_count, "
        "gross_revenue_amount, refund_amount FROM {marts:Identifier}.revenue_by_dimension_daily "
        "WHERE dimension != 'channel'"
    )

    assert {each[:4]: each[4:] for each in found} == expected


def test_movements_equal_a_plain_count(grown: Built) -> None:
    expected = sorted(mrr_movements(grown.deeds))

    found = grown.rows(
        "SELECT event_id, toString(movement), toString(currency), mrr_change_amount "
        "FROM {marts:Identifier}.mrr_movements"
    )

    assert sorted(found) == expected


def test_every_order_is_in_one_cohort(grown: Built) -> None:
    expected: dict[tuple[date, int], int] = {}
    for order in orders_of(grown.deeds).values():
        day, since = order.first_line.occurred_at.date(), order.first_date
        key = (since.replace(day=1), (day.year - since.year) * 12 + day.month - since.month)
        expected[key] = expected.get(key, 0) + 1

    found = grown.rows(
        "SELECT cohort_month, toInt32(months_since), toInt64(sum(order_count)) "
        "FROM {marts:Identifier}.customer_cohorts GROUP BY ALL HAVING sum(order_count) > 0"
    )

    assert {(month, since): count for month, since, count in found} == expected
