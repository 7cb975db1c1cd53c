"""Columns of a statement are checked when a definition changed, and not asked for again as long as none did."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import PROJECT, Dbt
from warehouse.client import connect

SELECTION = ("--select", "+data_health_daily")
"""Tables that add rows, one that replaces months, and views."""


@dataclass(frozen=True, slots=True)
class Built:
    dbt: Dbt
    asked_in_each_run: list[int]
    """How often the columns of a statement were asked for."""

    @contextmanager
    def changed(self, path: str, old: str, new: str) -> Iterator[Dbt]:
        """The project with another text in one of its files."""
        file = self.dbt.project / "models" / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        try:
            yield Dbt(self.dbt.settings, self.dbt.directory, project=self.dbt.project)
        finally:
            file.write_text(text)


@pytest.fixture(scope="module")
def built(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Built:
    directory = tmp_path_factory.mktemp("checks")
    shutil.copytree(PROJECT, directory / "dbt", ignore=shutil.ignore_patterns("target", "logs"))
    dbt = Dbt(fresh_settings(gateway), directory, project=directory / "dbt")
    asked = [0]
    for _ in range(4):
        dbt("run", *SELECTION)
        asked.append(questions(dbt))
    return Built(dbt, [after - before for before, after in itertools.pairwise(asked)])


def questions(dbt: Dbt) -> int:
    """How often the columns of an increment's statement, which reads up to the watermarks of others, were asked for."""
    client = connect(dbt.settings)
    client.command("SYSTEM FLUSH LOGS")
    [(count,)] = client.query(
        "SELECT count() FROM system.query_log WHERE type = 'QueryFinish' AND query ILIKE '%) limit 0%' "
        "AND position(query, 'arrayMin([') > 0 AND position(query, {ops:String}) > 0",
        parameters={"ops": dbt.settings.database("ops")},
    ).result_rows
    client.close()
    return int(count)


def test_columns_are_asked_for_until_the_definition_has_built_an_increment(built: Built) -> None:
    first, second, *later = built.asked_in_each_run

    assert first > 0
    assert second > 0
    assert later == [0, 0]


def test_increment_with_another_column_than_the_table_is_refused(built: Built) -> None:
    column = "minSimpleState(inserted_at) as first_inserted_at"

    with (
        built.changed("staging/stg_event_arrivals.sql", column, f"{column}, count() as row_count") as dbt,
        pytest.raises(AssertionError, match="row_count"),
    ):
        dbt("run", *SELECTION)


def test_increment_is_checked_anew_when_the_contract_of_what_it_reads_has_changed(built: Built) -> None:
    asked = questions(built.dbt)

    with built.changed("staging/stg_events.yml", "Identity of the event.", "Identity of an event.") as dbt:
        dbt("run", "--select", "data_health_daily")

    assert questions(built.dbt) > asked
