"""Funnels of every order against plain rules, in increments; and what a full refresh makes of the same events."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from tests.dbt.plain_funnels import Funnel
from warehouse.client import Client, connect

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PLAIN = [
    Funnel(f"{order}, {name}", order, window, steps)
    for order in ("ordered", "strict", "any")
    for name, window, steps in (
        ("short", 20 * MINUTE, [["view"], ["cart"], ["buy"]]),
        ("long", 2 * DAY, [["view"], ["cart"], ["pay"], ["buy"]]),
    )
] + [
    Funnel("again", "ordered", DAY, [["view"], ["view"], ["view"], ["buy"]]),
    Funnel("at once again", "strict", DAY, [["view"], ["view"], ["cart"]]),
    Funnel("either", "ordered", DAY, [["view", "search"], ["cart", "view"], ["buy"]]),
]
DESCRIBED: list[dict[str, Any]] = [
    {
        "name": "described",
        "window": "1 day",
        "steps": [
            {"name": "Seen", "event": "view", "where": {"property": "price", "operator": "gte", "value": 10}},
            {"event": ["cart", "pay"], "where": [{"column": "country", "operator": "is_set"}]},
        ],
        "breakdowns": [{"property": "price"}, {"column": "country"}, {"session": "channel"}, {"visitor": "kind"}],
    },
]
START = datetime(2026, 1, 30, 21, tzinfo=UTC)
PAUSES = (0, 0, 1, 60, 1199, 1200, 1201, 1800, 1801, 7200, 86_400, 172_800, 172_801)
COLUMNS = ["event_id", "event_name", "user_id", "occurred_at", "received_at", "country", "properties"]


def random_rows(count: int, seed: int) -> list[list[Any]]:
    """Events of a few visitors with many equal times and pauses just as long as a window, in any order of arrival."""
    chance, rows = random.Random(seed), []
    for visitor in ("ann", "bob", "cat", "dan"):
        at = START + timedelta(seconds=chance.choice(PAUSES))
        for number in range(count // 4):
            at += timedelta(seconds=chance.choice(PAUSES) * (chance.random() < 0.8))
            name = chance.choices(("view", "cart", "pay", "buy", "search", "other"), (6, 3, 2, 2, 1, 1))[0]
            properties = json.dumps({"price": chance.choice((5, 10.5, "20", None)), "referrer": "https://google.com/"})
            country = chance.choice(("DE", "FR", ""))
            rows.append([f"{visitor}-{number}", name, visitor, at, START + 90 * DAY, country, properties])
    chance.shuffle(rows)
    return rows


@dataclass(frozen=True, slots=True)
class Built:
    dbt: Dbt
    client: Client
    rows: list[list[Any]]

    def query(self, sql: str) -> list[Any]:
        names = {layer: f"`{self.dbt.settings.database(layer)}`" for layer in ("intermediate", "marts")}
        return list(self.client.query(sql.format(**names)).result_rows)


@pytest.fixture(scope="module")
def built(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Three arrivals, each followed by a run."""
    funnels = [*(funnel.declaration() for funnel in PLAIN), *DESCRIBED]
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("funnels"), {"funnels": funnels})
    client = connect(dbt.settings)
    rows = random_rows(240, seed=5)
    dbt("seed")
    for part in (rows[:150], rows[150:220], rows[220:]):
        client.insert("events", part, column_names=COLUMNS, database=dbt.settings.database("raw"))
        dbt("run", "--select", "+funnels +funnels_by_dimension")
    yield Built(dbt, client, rows)
    client.close()


@pytest.mark.parametrize("funnel", PLAIN, ids=lambda funnel: funnel.name)
def test_chains_equal_those_of_the_plain_rules(built: Built, funnel: Funnel) -> None:
    expected = sorted(funnel.entries((row[2], row[3], row[1]) for row in built.rows))

    found = built.query(
        "SELECT funnel_name, visitor_id, entry_date, step_times FROM {intermediate}.int_funnel_visitors FINAL "
        f"WHERE funnel_name = '{funnel.name}' ORDER BY ALL"
    )

    assert len(expected) > 8
    assert max(len(times) for *_, times in expected) > 1
    assert [(*key, list(times)) for *key, times in found] == expected


def test_full_refresh_finds_what_the_increments_found(built: Built) -> None:
    tables = {
        "{intermediate}.int_funnel_visitors FINAL": "_version",
        "{marts}.funnels": "refreshed_at",
        "{marts}.funnels_by_dimension": "refreshed_at",
    }
    rows = {table: built.query(f"SELECT * EXCEPT {when} FROM {table} ORDER BY ALL") for table, when in tables.items()}

    built.dbt("run", "--full-refresh", "--select", "int_funnel_visitors funnels funnels_by_dimension")

    assert all(rows.values())
    assert {t: built.query(f"SELECT * EXCEPT {when} FROM {t} ORDER BY ALL") for t, when in tables.items()} == rows


def test_values_of_a_dimension_add_up_to_the_funnel(built: Built) -> None:
    whole = built.query(
        "SELECT entry_date, step_number, step_name, visitor_count FROM {marts}.funnels "
        "WHERE funnel_name = 'described' ORDER BY ALL"
    )

    for dimension in ("price", "country", "channel", "kind"):
        parts = built.query(
            "SELECT entry_date, step_number, step_name, sum(visitor_count) FROM {marts}.funnels_by_dimension "
            f"WHERE dimension = '{dimension}' GROUP BY ALL ORDER BY ALL"
        )
        assert parts == whole
    values = built.query(
        "SELECT dimension, groupUniqArray(dimension_value) FROM {marts}.funnels_by_dimension GROUP BY 1"
    )
    assert {dimension: sorted(found) for dimension, found in values} == {
        "price": ["10.5", "20"],
        "country": ["", "DE", "FR"],
        "channel": ["Organic Search"],
        "kind": ["new", "returning"],
    }
    assert {row[2] for row in whole} == {"Seen", "cart or pay"}


def test_breakdown_no_longer_declared_disappears(built: Built) -> None:
    plain = Dbt(built.dbt.settings, built.dbt.directory / "plain", {"funnels": [PLAIN[0].declaration()]})
    before = built.query("SELECT count() FROM {marts}.funnels_by_dimension")

    plain("run", "--select", "int_funnel_visitors funnels funnels_by_dimension")
    left = built.query("SELECT count() FROM {marts}.funnels_by_dimension")
    funnels = built.query("SELECT DISTINCT funnel_name FROM {marts}.funnels")
    # The other tests read the funnels as they were declared.
    built.dbt("run", "--select", "int_funnel_visitors funnels funnels_by_dimension")

    assert before != [(0,)]
    assert left == [(0,)]
    assert funnels == [(PLAIN[0].name,)]
    assert built.query("SELECT count() FROM {marts}.funnels_by_dimension") == before
