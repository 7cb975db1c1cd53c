"""The nightly comparison of tables with what their models would build anew."""

from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from tests.dagster_project.conftest import Prepared, Run
from warehouse.client import Client

NOW = {"ops": {"drift": {"config": {"nights": 1}}}}


@pytest.fixture
def compare_all(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Callable[[], dict[str, bool]]:
    from dagster_project.defs.transform.drift_checks import drift_checks

    built = {spec.key for spec in definitions.resolve_all_asset_specs() if spec.tags.get("lane") != "nightly"}
    keys = [key for key in drift_checks.check_keys if key.asset_key in built]
    alone = dg.Definitions(
        asset_checks=[drift_checks],
        jobs=[dg.define_asset_job("checks", selection=dg.AssetSelection.checks(*keys))],
        resources=definitions.resources,
    )

    def compare_all() -> dict[str, bool]:
        result = alone.resolve_job_def("checks").execute_in_process(instance=instance, run_config=NOW)
        return {check.asset_key.to_user_string(): check.passed for check in result.get_asset_check_evaluations()}

    return compare_all


@pytest.fixture
def lost_session(first_run: Run, environment: Prepared, client: Client) -> Iterator[None]:
    """A row that an increment has dropped from a table between two others."""
    table = f"{environment.settings.database('marts')}.sessions"
    client.command(f"CREATE TABLE {table}_kept ENGINE = Memory AS SELECT * FROM {table} LIMIT 1")
    client.command(f"DELETE FROM {table} WHERE session_id IN (SELECT session_id FROM {table}_kept)")
    yield
    client.command(f"INSERT INTO {table} SELECT * FROM {table}_kept")
    client.command(f"DROP TABLE {table}_kept")


def test_every_table_equals_its_rebuild_after_a_run(first_run: Run, compare_all: Callable[[], dict[str, bool]]) -> None:
    verdicts = compare_all()

    assert {name.split("/")[0] for name in verdicts} == {"intermediate", "marts"}
    assert [name for name, passed in verdicts.items() if not passed] == []


def test_difference_is_told_of_the_table_that_has_it_and_of_those_that_read_it(
    lost_session: None, compare_all: Callable[[], dict[str, bool]]
) -> None:
    verdicts = compare_all()

    different = {name for name, passed in verdicts.items() if not passed}
    assert "marts/sessions" in different
    assert not {name for name in different if name.startswith("intermediate/")}


def test_each_table_has_its_turn_once_in_so_many_nights(environment: Prepared) -> None:
    from dagster_project.defs.transform.drift_checks import due

    keys = [dg.AssetKey(["marts", name]) for name in "abcdefghij"]

    nights = [due(keys, night, 7) for night in range(100, 107)]

    assert sorted(key for night in nights for key in night) == keys
    assert {len(night) for night in nights} == {1, 2}
    assert due(keys, 5, 1) == keys
