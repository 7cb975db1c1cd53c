"""The hourly job over real tables: what it builds, says and leaves behind."""

from dataclasses import dataclass

import dagster as dg
import pytest

from dagster_project.defs.raw.assets import ARRIVAL_CHECK
from tests.dagster_project.conftest import Prepared, Run, built_tables, execute, fingerprints
from warehouse.client import Client

MARTS = ("sessions", "events_daily", "active_users_daily", "revenue_daily", "funnels", "kpis_daily")

"""The one asset of the job that is no dbt model."""


def count(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])


def test_hourly_job_builds_every_mart_and_passes_every_check(
    first_run: Run, prepared: Prepared, client: Client
) -> None:
    failed = [check.check_name for check in first_run.result.get_asset_check_evaluations() if not check.passed]

    assert first_run.result.success
    assert failed == []
    for mart in MARTS:
        assert count(client, f"{prepared.settings.database('marts')}.{mart}") > 0


def test_every_check_of_the_job_is_evaluated(first_run: Run, definitions: dg.Definitions) -> None:
    evaluated = {check.asset_check_key for check in first_run.result.get_asset_check_evaluations()}

    job = definitions.resolve_job_def("hourly_marts_job")
    assert evaluated == job.asset_layer.asset_graph.asset_check_keys


def test_materialization_carries_the_row_count_of_its_table(first_run: Run, prepared: Prepared, client: Client) -> None:
    metadata = first_run.metadata

    counts = {
        name: facts["dagster/row_count"].value for name, facts in metadata.items() if "dagster/row_count" in facts
    }

    # Other runs may have built tables of slower lanes meanwhile.
    built = {name: table for name, table in built_tables(client, prepared.settings).items() if name in metadata}
    assert "marts/sessions" in built
    assert counts == {name: count(client, table) for name, table in built.items()}


def test_materialization_of_an_incremental_model_carries_the_window_of_arrivals(first_run: Run) -> None:
    metadata = first_run.metadata["staging/stg_events"]

    window_end = metadata["window_end"].value

    assert isinstance(window_end, float)
    assert first_run.started_at - 60 < window_end < first_run.started_at + 60
    assert "window_start" not in metadata


def test_run_keeps_the_partial_parse_of_the_preparation(first_run: Run, prepared: Prepared) -> None:
    [log_file] = prepared.target.glob(f"models-{first_run.result.run_id[:7]}-*/dbt.log")

    log = log_file.read_text()

    assert "Unable to do partial parsing" not in log
    assert "0 files added, 0 files changed" in log


def test_run_says_what_each_table_and_the_whole_of_it_cost(first_run: Run) -> None:
    costs = {name: facts["rows_written"].value for name, facts in first_run.metadata.items() if "rows_written" in facts}
    tags = first_run.result.dagster_run.tags

    assert costs.keys() == first_run.metadata.keys()
    # Six events, and the watermark before and after.
    assert costs["staging/stg_events"] == 8
    assert int(tags["cost/rows_written"]) >= sum(costs.values())
    assert float(tags["cost/engine_seconds"]) > 0


@dataclass(frozen=True, slots=True)
class Repeated:
    """The nightly job over the same events, and the marts around it."""

    run: Run
    before: dict[str, tuple[int, int]]
    after: dict[str, tuple[int, int]]


@pytest.fixture
def repeated(first_run: Run, environment: Prepared, instance: dg.DagsterInstance, client: Client) -> Repeated:
    before = fingerprints(client, environment.settings)
    run = execute("nightly_checks_job", instance, run_config={"ops": {"drift": {"config": {"nights": 1}}}})
    return Repeated(run, before, fingerprints(client, environment.settings))


def test_nightly_job_passes_every_check_there_is_and_changes_nothing_that_the_hourly_job_built(
    first_run: Run, repeated: Repeated, definitions: dg.Definitions
) -> None:
    nightly_run = repeated.run

    evaluations = nightly_run.result.get_asset_check_evaluations()
    assert nightly_run.result.success
    assert [check.check_name for check in evaluations if not check.passed] == []
    # The sensor makes that one: it takes a minute's wait, and the API.
    in_job = definitions.resolve_asset_graph().asset_check_keys - {ARRIVAL_CHECK}
    assert {check.asset_check_key for check in evaluations} == in_job
    assert repeated.after | repeated.before == repeated.after
    window = nightly_run.metadata["staging/stg_events"]
    earlier = first_run.metadata["staging/stg_events"]
    assert earlier["window_end"].value <= window["window_start"].value < window["window_end"].value
    assert "deleted_runs" in nightly_run.metadata["maintenance/housekeeping"]


def test_false_row_in_a_mart_fails_its_check_and_keeps_what_stands_behind_it_unbuilt(
    false_revenue: None, instance: dg.DagsterInstance
) -> None:
    run = execute("hourly_marts_job", instance, only=["marts/revenue_daily", "marts/kpis_daily"])

    failed = {check.check_name for check in run.result.get_asset_check_evaluations() if not check.passed}
    assert not run.result.success
    assert failed == {"revenue_daily_adds_up"}
    assert set(run.metadata) == {"marts/revenue_daily"}
