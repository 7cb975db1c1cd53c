"""Increments give what a full refresh gives, whatever arrives in whatever order and whatever dies on the way."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.built_tables import WHEN_FOUND, Table, built_tables
from tests.dbt.conftest import Dbt
from tests.dbt.random_events import Shop, store
from warehouse.client import Client, connect

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True, slots=True)
class Built:
    """An environment after its last run."""

    dbt: Dbt
    client: Client

    @property
    def tables(self) -> list[Table]:
        return [table for table in built_tables(self.dbt.manifest()) if table.counts_events]

    def contents(self) -> dict[str, tuple[int, ...]]:
        """What a full refresh must find in the same state: all but when it was found."""
        return {table.name: self._fingerprint(table, WHEN_FOUND) for table in self.tables}

    def rows(self) -> dict[str, tuple[int, ...]]:
        """All that a build without new events must leave as it is: of marts not when they were refreshed."""
        return {t.name: self._fingerprint(t, set() if t.key else WHEN_FOUND) for t in self.tables}

    def _fingerprint(self, table: Table, without: set[str]) -> tuple[int, ...]:
        return table.fingerprint(self.client, self.dbt.settings, without)


class Accidents:
    """Lets models of a run die in their insert, so that half of the rows may be missing, and others not run at all."""

    def __init__(self, dbt: Dbt, client: Client, seed: int) -> None:
        self._dbt, self._client, self._random = dbt, client, random.Random(seed)
        self._bulk = replace(dbt, variables={"bulk_visitor_days": 0}, directory=dbt.directory / "bulk", _parsed=None)
        self._tables = built_tables(dbt.manifest())

    def run(self, share: float) -> None:
        chosen = [table for table in self._tables if self._random.random() < share]
        while chosen:
            # What stands behind a model that died sees what it has written, but no commit.
            dies_at = next((n for n in range(len(chosen)) if self._random.random() < 0.1), None)
            now, chosen = (chosen, []) if dies_at is None else (chosen[: dies_at + 1], chosen[dies_at + 1 :])
            (started_at,) = self._client.query("SELECT toString(now64(3, 'UTC'))").result_rows[0]
            (self._bulk if self._random.random() < 0.3 else self._dbt)("run", "--select", *(t.name for t in now))
            if dies_at is not None:
                self._forget_commit(now[-1], started_at)

    def _forget_commit(self, table: Table, started_at: str) -> None:
        watermarks = f"`{self._dbt.settings.database('ops')}`.watermarks"
        self._client.command(
            f"DELETE FROM {watermarks} "
            f"WHERE splitByChar('@', model)[1] = '{table.name}' AND committed_at >= '{started_at}'"
        )
        if table.key and table.run_column and self._random.random() < 0.6:
            mark = f"(SELECT max(high_watermark) FROM {watermarks} WHERE model = '{table.name}')"
            self._client.command(
                f"DELETE FROM {table.qualified(self._dbt.settings)} "
                f"WHERE sipHash64({', '.join(table.key)}) % 2 AND {table.run_column} > {mark} "
                "SETTINGS allow_nondeterministic_mutations = 1"
            )


@pytest.fixture(scope="module")
def interrupted(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("interrupted"))
    client = connect(dbt.settings)
    # The seed of a shop with a chain and a circle of aliases.
    shop, accidents = Shop(seed=26), Accidents(dbt, client, seed=12)
    dbt("seed")
    dbt("run", "--select", "source:raw+1,config.materialized:view")
    for size, share in ((40, 1), (5, 0.8), (25, 0.8), (10, 0.8), (1, 0.8), (30, 0.8)):
        store(client, dbt.settings, shop.batch(size))
        accidents.run(share)
    dbt("run")
    yield Built(dbt, client)
    client.close()


@pytest.fixture(scope="module")
def rebuilt(interrupted: Built, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("rebuilt"))
    client = connect(dbt.settings)
    raw = f"`{interrupted.dbt.settings.clickhouse_database}_raw`.events"
    client.command(f"INSERT INTO `{dbt.settings.clickhouse_database}_raw`.events SELECT * FROM {raw}")
    dbt("build", "--exclude-resource-type", "unit_test")
    yield Built(dbt, client)
    client.close()


def test_increments_equal_a_full_refresh_when_runs_die_and_events_are_late(interrupted: Built, rebuilt: Built) -> None:
    expected = rebuilt.contents()

    found = interrupted.contents()

    assert found == expected


def test_second_build_changes_nothing(interrupted: Built) -> None:
    rows = interrupted.rows()

    interrupted.dbt("build", "--exclude-resource-type", "unit_test")

    assert interrupted.rows() == rows
