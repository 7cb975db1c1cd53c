"""Increments give what a full refresh gives, whatever arrives in whatever order and whatever dies on the way."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from tests.dbt.random_events import Event, Shop, store
from warehouse.client import Client, connect

MARTS = ("sessions", "events_daily", "active_users_daily", "revenue_daily", "funnels", "kpis_daily")
STATES = {
    "stg_event_arrivals": ("staging", "event_key", "first_inserted_at"),
    "stg_events": ("staging", "event_id", "inserted_at"),
    "int_visitor_days": ("intermediate", "visitor_id", "_version"),
    "int_sessions": ("intermediate", "started_at", "_version"),
    "int_funnel_visitors": ("intermediate", "visitor_id", "_version"),
}
"""Tables written by append, with a column to halve them by and the column that tells the rows of a run."""


@dataclass(frozen=True, slots=True)
class Built:
    """An environment after its last run, and all that arrived in it."""

    dbt: Dbt
    client: Client
    arrived: list[Event]

    def fingerprints(self) -> dict[str, tuple[int, ...]]:
        return {mart: self._fingerprint("marts", mart, "* EXCEPT refreshed_at", "") for mart in MARTS}

    def states(self) -> dict[str, tuple[int, ...]]:
        return {name: self._fingerprint(layer, name, "*", "FINAL") for name, (layer, _, _) in STATES.items()}

    def _fingerprint(self, layer: str, table: str, columns: str, final: str) -> tuple[int, ...]:
        name = f"`{self.dbt.settings.clickhouse_database}_{layer}`.{table}"
        rows = f"SELECT cityHash64(*) AS row FROM (SELECT {columns} FROM {name} {final})"
        answer = self.client.query(f"SELECT count(), groupBitXor(row), sum(row) FROM ({rows})")
        return tuple(answer.result_rows[0])


class Accidents:
    """Lets models of a run die after their insert, half of the rows lost, and others not run at all."""

    def __init__(self, dbt: Dbt, client: Client, seed: int) -> None:
        self._dbt, self._client, self._random = dbt, client, random.Random(seed)
        self._bulk = replace(dbt, variables={"bulk_visitor_days": 0}, directory=dbt.directory / "bulk", _parsed=None)
        self._models = [node["name"] for node in dbt.manifest()["nodes"].values() if node["resource_type"] == "model"]

    def run(self) -> None:
        chosen = [model for model in self._models if self._random.random() < 0.8]
        (started_at,) = self._client.query("SELECT toString(now64(3, 'UTC'))").result_rows[0]
        dbt = self._bulk if self._random.random() < 0.3 else self._dbt
        dbt("run", "--select", *chosen)
        for model in chosen:
            if self._random.random() < 0.3:
                self._forget_commit(model, started_at)

    def _forget_commit(self, model: str, started_at: str) -> None:
        database = self._dbt.settings.clickhouse_database
        self._client.command(
            f"DELETE FROM `{database}_ops`.watermarks "
            f"WHERE splitByChar('@', model)[1] = '{model}' AND committed_at >= '{started_at}'"
        )
        if model in STATES and self._random.random() < 0.5:
            layer, half, written = STATES[model]
            mark = f"(SELECT max(high_watermark) FROM `{database}_ops`.watermarks WHERE model = '{model}')"
            self._client.command(
                f"DELETE FROM `{database}_{layer}`.{model} "
                f"WHERE sipHash64({half}) % 2 AND {written} > {mark} SETTINGS allow_nondeterministic_mutations = 1"
            )


@pytest.fixture(scope="module")
def interrupted(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("interrupted"))
    client = connect(dbt.settings)
    shop, accidents, arrived = Shop(seed=11), Accidents(dbt, client, seed=12), []
    dbt("seed")
    for size in (40, 5, 25, 10, 1, 30):
        events = shop.batch(size)
        store(client, dbt.settings, events)
        arrived += events
        accidents.run()
    dbt("run")
    yield Built(dbt, client, arrived)
    client.close()


@pytest.fixture(scope="module")
def rebuilt(interrupted: Built, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("rebuilt"))
    client = connect(dbt.settings)
    raw = f"`{interrupted.dbt.settings.clickhouse_database}_raw`.events"
    client.command(f"INSERT INTO `{dbt.settings.clickhouse_database}_raw`.events SELECT * FROM {raw}")
    dbt("build", "--exclude-resource-type", "unit_test")
    yield Built(dbt, client, interrupted.arrived)
    client.close()


def test_increments_equal_a_full_refresh_when_runs_die_and_events_are_late(interrupted: Built, rebuilt: Built) -> None:
    expected = rebuilt.fingerprints()

    found = interrupted.fingerprints()

    assert found == expected


def test_second_build_changes_nothing(interrupted: Built) -> None:
    marts, states = interrupted.fingerprints(), interrupted.states()

    interrupted.dbt("build", "--exclude-resource-type", "unit_test")

    assert (interrupted.fingerprints(), interrupted.states()) == (marts, states)


def test_sessions_equal_a_plain_count_of_the_rules(rebuilt: Built) -> None:
    firsts = first_arrivals(rebuilt.arrived, rebuilt.client, rebuilt.dbt)

    expected = sorted(sessions_of(firsts))

    database = rebuilt.dbt.settings.database("marts")
    found = rebuilt.client.query(
        f"SELECT visitor_id, client_session_id, started_at, ended_at, event_count FROM `{database}`.sessions"
    )
    assert sorted(found.result_rows) == expected


def first_arrivals(arrived: Iterable[Event], client: Client, dbt: Dbt) -> list[tuple[str, str, datetime]]:
    """Visitor, client session and time of each event that counts; which one of an insert does, staging has chosen."""
    staged = client.query(
        "SELECT event_id, visitor_id, client_session_id, occurred_at "
        f"FROM `{dbt.settings.database('staging')}`.stg_events FINAL"
    ).result_rows
    sent = {(e.event_id, e.visitor[0] or e.visitor[1], e.session_id, e.occurred_at) for e in arrived}
    assert set(staged) <= sent
    assert sorted(row[0] for row in staged) == sorted({event.event_id for event in arrived})
    return [row[1:] for row in staged]


def sessions_of(events: Iterable[tuple[str, str, datetime]]) -> Iterator[tuple[str, str, datetime, datetime, int]]:
    """The session rules, one event after the other."""
    streams = defaultdict(list)
    for visitor, client_session, moment in events:
        streams[visitor, client_session].append(moment)
    for (visitor, client_session), moments in streams.items():
        gap_seconds = 86_400 if client_session else 1_800
        session: list[datetime] = []
        for moment in sorted(moments):
            if session and (moment - session[-1]).total_seconds() > gap_seconds:
                yield visitor, client_session, session[0], session[-1], len(session)
                session = []
            session.append(moment)
        yield visitor, client_session, session[0], session[-1], len(session)
