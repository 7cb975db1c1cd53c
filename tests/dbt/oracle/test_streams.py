"""Marts equal what a slow and plain oracle makes of the same raw events, incrementally and after a full refresh."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.built_tables import marts
from tests.dbt.conftest import Dbt
from tests.dbt.oracle.comparison import Row, counted, found_rows
from tests.dbt.oracle.declared import Declared
from tests.dbt.oracle.history import History
from tests.dbt.oracle.marts import MARTS, UNCOMPARED_COLUMNS, UNCOMPARED_MARTS
from tests.dbt.oracle.staging import RawEvent
from tests.dbt.oracle.streams import BATCHES, Streams, described
from warehouse.client import Client, connect

ROWS_SHOWN = 5
FUNNELS = [
    *Declared().variables["funnels"],
    {"name": "straight", "order": "strict", "window": "30 minutes", "steps": ["page_view", ["add_to_cart", "signup"]]},
    {"name": "whichever", "order": "any", "window": "1 day", "steps": ["page_view", "add_to_cart", "refund"]},
    {
        "name": "given_back",
        "window": "7 days",
        "steps": [
            {
                "event": ["purchase", "order_completed"],
                "where": [{"property": "revenue", "operator": "gte", "value": 10}],
            },
            "refund",
        ],
    },
]
"""The declared ones, and of each other form one."""

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True, slots=True)
class Told:
    """Streams, and the environment that they arrived in."""

    streams: Streams
    history: History
    dbt: Dbt
    client: Client

    def difference(self, mart: str) -> str:
        """Empty when the mart holds what the oracle says; else the rows and a stream that they come from."""
        columns = MARTS[mart].row._fields
        found = found_rows(self.client, f"`{self.dbt.settings.database('marts')}`.{mart}", columns)
        expected = counted(MARTS[mart].rows(self.history))
        wrong = [("missing", row) for row in expected - found] + [("not expected", row) for row in found - expected]
        if not wrong:
            return ""
        wrong.sort(key=lambda item: str(item[1]))
        lines = [f"{word}: {dict(zip(columns, row, strict=True))}" for word, row in wrong[:ROWS_SHOWN]]
        return "\n".join([f"{mart}: {len(wrong)} rows differ", *lines, *self._origin([row for _, row in wrong])])

    def _origin(self, rows: list[Row]) -> Iterator[str]:
        numbers = [int(name[1]) for row in rows if (name := re.search(r"\bs(\d{3})-", str(row), re.IGNORECASE))]
        if not numbers:
            yield f"A total over the streams of --hypothesis-seed={self.streams.seed}"
            return
        yield f"Stream {numbers[0]} of --hypothesis-seed={self.streams.seed}:"
        yield from described(self.streams.arrivals[numbers[0]])


@pytest.fixture(scope="module")
def increments(streams: Streams, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("streams"), {"funnels": FUNNELS})
    client = connect(dbt.settings)
    dbt("seed")
    for batch in range(BATCHES):
        rows = [arrival.row() for stream in streams.arrivals for arrival in stream if arrival.batch == batch]
        values = [list(row.values()) for row in rows]
        client.insert("events", values, column_names=list(rows[0]), database=dbt.settings.database("raw"))
        dbt("run")
    yield Told(streams, history(dbt, client), dbt, client)
    client.close()


@pytest.fixture(scope="module")
def refreshed(increments: Told, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("refreshed"), {"funnels": FUNNELS})
    client = connect(dbt.settings)
    raw = f"`{increments.dbt.settings.database('raw')}`.events"
    client.command(f"INSERT INTO `{dbt.settings.database('raw')}`.events SELECT * FROM {raw}")
    dbt("build", "--exclude-resource-type", "unit_test")
    yield Told(increments.streams, increments.history, dbt, client)
    client.close()


def history(dbt: Dbt, client: Client) -> History:
    columns = ", ".join(field.name for field in fields(RawEvent))
    raw = client.query(f"SELECT {columns} FROM `{dbt.settings.database('raw')}`.events").result_rows
    key = "visitor_id, client_session_id, started_at"
    sessions = client.query(f"SELECT {key}, session_id FROM `{dbt.settings.database('marts')}`.sessions").result_rows
    declared = Declared(variables={**Declared().variables, "funnels": FUNNELS})
    return History((RawEvent(*row) for row in raw), declared, {tuple(row[:3]): row[3] for row in sessions})


@pytest.mark.parametrize("mart", MARTS)
def test_increments_equal_the_oracle(increments: Told, mart: str) -> None:
    assert (difference := increments.difference(mart)) == "", difference


@pytest.mark.parametrize("mart", MARTS)
def test_full_refresh_equals_the_oracle(refreshed: Told, mart: str) -> None:
    assert (difference := refreshed.difference(mart)) == "", difference


def test_every_column_of_every_mart_is_compared(dbt: Dbt) -> None:
    missing = {
        mart.name: set(mart.columns) - set(MARTS[mart.name].row._fields) - UNCOMPARED_COLUMNS.get(mart.name, set())
        for mart in marts(dbt.manifest())
        if mart.name not in UNCOMPARED_MARTS
    }

    assert missing == {name: {"refreshed_at"} for name in MARTS}
