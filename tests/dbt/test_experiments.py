"""Experiments are counted by their rules, whatever arrives in whatever order, and however they are defined."""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from tests.dbt.plain_experiments import Deed, arrivals, moments
from tests.dbt.random_experiments import START, experiment, happen
from warehouse.client import Client, connect

TABLES = {
    "intermediate": ("int_first_exposures", "int_experiment_user_days"),
    "marts": ("experiment_metric_aggregates", "experiment_exposures_daily"),
}
EXPERIMENTS, EVENTS = 36, 1600
LINKED = [["phone", "p0"], ["tablet", "p1"]]
COLUMNS = ("event_id", "event_name", "user_id", "anonymous_id", "occurred_at", "received_at", "properties")
COLUMNS += ("country", "device_type", "is_bot")


@dataclass(frozen=True, slots=True)
class Built:
    """An environment after its last run, and what happened in it."""

    dbt: Dbt
    client: Client
    experiments: list[dict[str, Any]]
    deeds: list[Deed]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        parameters = {"marts": self.dbt.settings.database("marts")}
        return [tuple(row) for row in self.client.query(sql, parameters=parameters).result_rows]

    def fingerprints(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table: self.rows(
                "SELECT count(), groupBitXor(row), sum(row) FROM (SELECT cityHash64(*) AS row FROM "
                f"(SELECT * EXCEPT refreshed_at FROM `{self.dbt.settings.database(layer)}`.{table}))"
            )
            for layer, tables in TABLES.items()
            for table in tables
        }


def row(deed: Deed, sender: str) -> list[Any]:
    """The event as it is stored in the raw table; devices have no name."""
    is_device = sender in ("phone", "tablet", "kiosk")
    return [
        *(deed.event_id, deed.name, "" if is_device else sender, sender if is_device else ""),
        *(deed.occurred_at, START + timedelta(days=30), json.dumps(deed.properties)),
        *(deed.country, deed.device_type, deed.is_bot),
    ]


def define(client: Client, dbt: Dbt, changes: Iterable[tuple[dict[str, Any], int, bool]]) -> None:
    """Store definitions with their version, and whether they are deleted with it."""
    rows = [
        ["experiment", one["id"], version, "deleted" if gone else "updated", "" if gone else json.dumps(one), START]
        for one, version, gone in changes
    ]
    names = ["kind", "key", "version", "action", "after", "changed_at"]
    client.insert("definition_changes", rows, column_names=names, database=dbt.settings.database("raw"))


@pytest.fixture(scope="module")
def grown(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Built in increments; then devices turned out to be somebody's, a definition was changed, another one deleted."""
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("experiments"))
    client, chance = connect(dbt.settings), random.Random(11)
    experiments = [experiment(chance, number) for number in range(EXPERIMENTS)]
    told = [happen(chance, number, experiments) for number in range(EVENTS)]
    stored = [row(*each) for each in told]
    former = experiments[0] | {"segments": ["os_name"], "metrics": experiments[1]["metrics"]}
    define(client, dbt, [(former, 1, False), *((one, 1, False) for one in experiments[1:])])
    dbt("seed")
    for begin, end in ((0, EVENTS - 300), (EVENTS - 300, EVENTS)):
        again = chance.sample(stored[:end], 40)
        news = [*stored[begin:end], *again]
        chance.shuffle(news)
        client.insert("events", news, column_names=COLUMNS, database=dbt.settings.database("raw"))
        if begin:
            links = [["link" + device, "identify", person, device] for device, person in LINKED]
            client.insert(
                "events",
                [[*link, START, START, "{}", "", "", False] for link in links],
                column_names=COLUMNS,
                database=dbt.settings.database("raw"),
            )
            define(client, dbt, [(experiments[0], 2, False), (experiments[0], 2, False), (experiments[-1], 2, True)])
        dbt("run", "--select", "+tag:experiments")
    yield Built(dbt, client, experiments[:-1], [deed for deed, _ in told])
    client.close()


def test_aggregates_equal_a_plain_count(grown: Built) -> None:
    expected = {key: row for one in grown.experiments for key, row in moments(one, grown.deeds).items()}

    found = grown.rows(
        "SELECT experiment_id, metric_id, variant_id, toString(dimension), dimension_value, as_of_date, users, "
        "main_sum, main_sum_squares, denominator_sum, denominator_sum_squares, main_denominator_sum_product, "
        "covariate_sum, covariate_sum_squares, main_covariate_sum_product, capped_users, cap_value, uncapped_main_sum "
        "FROM {marts:Identifier}.experiment_metric_aggregates"
    )

    assert len(expected) > 1000
    assert {each[:6]: each[6:] for each in found} == expected


def test_arrivals_equal_a_plain_count(grown: Built) -> None:
    expected = {key: counts for one in grown.experiments for key, counts in arrivals(one, grown.deeds).items()}

    found = grown.rows(
        "SELECT experiment_id, variant_id, exposure_date, new_users, multiple_exposure_users, unknown_variant_users, "
        "round(expected_users, 9) FROM {marts:Identifier}.experiment_exposures_daily"
    )

    assert {each[:3]: each[3:] for each in found} == {
        key: (*counts, round(due, 9)) for key, (*counts, due) in expected.items()
    }


def test_increments_equal_a_full_refresh(grown: Built) -> None:
    rows = grown.fingerprints()

    grown.dbt("build", "--full-refresh", "--select", "tag:experiments", "--exclude-resource-type", "unit_test")

    assert grown.fingerprints() == rows
