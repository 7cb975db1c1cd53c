"""Increments give what a full refresh gives, whatever arrives in whatever order and whatever dies on the way."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from tests.dbt.plain_rules import StagedEvent, sessions_of
from tests.dbt.random_events import Event, Shop, store
from warehouse.client import Client, connect

MARTS = (
    *("sessions", "sessions_daily", "events_daily", "active_users_daily", "revenue_daily", "funnels", "kpis_daily"),
    "data_health_daily",
)
STATES = {
    "stg_event_arrivals": ("staging", "event_key", "first_inserted_at"),
    "stg_events": ("staging", "event_id", "inserted_at"),
    "int_identity_links": ("intermediate", "linked_id", "_version"),
    "int_identities": ("intermediate", "visitor_id", "_version"),
    "int_events": ("intermediate", "(event_id, visitor_id)", "_version"),
    "int_days_by_visitor": ("intermediate", "visitor_id", "_version"),
    "int_visitor_days": ("intermediate", "visitor_id", "_version"),
    "int_sessions": ("intermediate", "started_at", "_version"),
    "int_funnel_visitors": ("intermediate", "visitor_id", "_version"),
}
"""Tables written by append, with what to halve them by and the column that tells the rows of a run."""

CONTENTS = {
    "int_identity_links": "* EXCEPT _version",
    "int_identities": "* EXCEPT _version",
    "int_events": "* EXCEPT (_version, inserted_at)",
    "int_days_by_visitor": "* EXCEPT _version",
    "int_visitor_days": "* EXCEPT _version",
    "int_sessions": "* EXCEPT _version",
    "int_funnel_visitors": "* EXCEPT _version",
}
"""What a full refresh must find in the same state: all but when it was found."""


@dataclass(frozen=True, slots=True)
class Built:
    """An environment after its last run, and all that arrived in it."""

    dbt: Dbt
    client: Client
    arrived: list[Event]

    def fingerprints(self) -> dict[str, tuple[int, ...]]:
        marts = {mart: self._fingerprint("marts", mart, "* EXCEPT refreshed_at", "") for mart in MARTS}
        contents = {name: self._fingerprint("intermediate", name, what, "FINAL") for name, what in CONTENTS.items()}
        return marts | contents

    def states(self) -> dict[str, tuple[int, ...]]:
        return {name: self._fingerprint(layer, name, "*", "FINAL") for name, (layer, _, _) in STATES.items()}

    def _fingerprint(self, layer: str, table: str, columns: str, final: str) -> tuple[int, ...]:
        name = f"`{self.dbt.settings.clickhouse_database}_{layer}`.{table}"
        rows = f"SELECT cityHash64(*) AS row FROM (SELECT {columns} FROM {name} {final})"
        answer = self.client.query(f"SELECT count(), groupBitXor(row), sum(row) FROM ({rows})")
        return tuple(answer.result_rows[0])


class Accidents:
    """Lets models of a run die in their insert, so that half of the rows may be missing, and others not run at all."""

    def __init__(self, dbt: Dbt, client: Client, seed: int) -> None:
        self._dbt, self._client, self._random = dbt, client, random.Random(seed)
        self._bulk = replace(dbt, variables={"bulk_visitor_days": 0}, directory=dbt.directory / "bulk", _parsed=None)
        self._models = tables_in_order(dbt)

    def run(self, share: float) -> None:
        chosen = [model for model in self._models if self._random.random() < share]
        while chosen:
            # What stands behind a model that died sees what it has written, but no commit.
            dies_at = next((n for n in range(len(chosen)) if self._random.random() < 0.1), None)
            now, chosen = (chosen, []) if dies_at is None else (chosen[: dies_at + 1], chosen[dies_at + 1 :])
            (started_at,) = self._client.query("SELECT toString(now64(3, 'UTC'))").result_rows[0]
            (self._bulk if self._random.random() < 0.3 else self._dbt)("run", "--select", *now)
            if dies_at is not None:
                self._forget_commit(now[-1], started_at)

    def _forget_commit(self, model: str, started_at: str) -> None:
        database = self._dbt.settings.clickhouse_database
        self._client.command(
            f"DELETE FROM `{database}_ops`.watermarks "
            f"WHERE splitByChar('@', model)[1] = '{model}' AND committed_at >= '{started_at}'"
        )
        if model in STATES and self._random.random() < 0.6:
            layer, half, written = STATES[model]
            mark = f"(SELECT max(high_watermark) FROM `{database}_ops`.watermarks WHERE model = '{model}')"
            self._client.command(
                f"DELETE FROM `{database}_{layer}`.{model} "
                f"WHERE sipHash64({half}) % 2 AND {written} > {mark} SETTINGS allow_nondeterministic_mutations = 1"
            )


def tables_in_order(dbt: Dbt) -> list[str]:
    """Names of the models that are tables, each after those that it reads."""
    nodes = dbt.manifest()["nodes"]
    tables = {key for key, node in nodes.items() if node["resource_type"] == "model"}
    order = TopologicalSorter(
        {key: sorted(tables.intersection(nodes[key]["depends_on"]["nodes"])) for key in sorted(tables)}
    )
    return [nodes[key]["name"] for key in order.static_order() if nodes[key]["config"]["materialized"] != "view"]


@pytest.fixture(scope="module")
def interrupted(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("interrupted"))
    client = connect(dbt.settings)
    # The seed of a shop with a chain and a circle of aliases.
    shop, accidents, arrived = Shop(seed=26), Accidents(dbt, client, seed=12), []
    dbt("seed")
    dbt("run", "--select", "source:raw+1,config.materialized:view")
    for size, share in ((40, 1), (5, 0.8), (25, 0.8), (10, 0.8), (1, 0.8), (30, 0.8)):
        events = shop.batch(size)
        store(client, dbt.settings, events)
        arrived += events
        accidents.run(share)
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
    expected = sorted(sessions_of(staged_events(rebuilt)))

    database = rebuilt.dbt.settings.database("marts")
    found = rebuilt.client.query(
        f"SELECT visitor_id, client_session_id, started_at, ended_at, event_count FROM `{database}`.sessions"
    )
    assert sorted(found.result_rows) == expected


def staged_events(built: Built) -> list[StagedEvent]:
    """The events that count; which of several with one id does, staging has chosen among those sent."""
    columns = "event_id, event_name, is_bot, user_id, anonymous_id, previous_id, client_session_id, occurred_at"
    database = built.dbt.settings.database("staging")
    staged = built.client.query(f"SELECT {columns} FROM `{database}`.stg_events FINAL").result_rows
    sent = {(e.event_id, e.event_name, e.is_bot, *e.sender, e.session_id, e.occurred_at) for e in built.arrived}
    assert {(*row[:5], *row[6:]) for row in staged} <= sent
    assert sorted(row[0] for row in staged) == sorted({event.event_id for event in built.arrived})
    return [StagedEvent(*row[3:]) for row in staged if not row[2] and not row[1].startswith("$")]
