import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from tests.dagster_project.conftest import Prepared
from warehouse.client import Client
from warehouse.config import WarehouseSettings

NOW = datetime.now(UTC)


@dg.op
def say(context: dg.OpExecutionContext) -> None:
    context.log.info("said")


@dg.job
def small_job() -> None:
    say()


def test_runs_older_than_the_limit_are_deleted_with_their_files(environment: Prepared, tmp_path: Path) -> None:
    from dagster_project.defs.maintenance.housekeeping import delete_old_runs

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        old = small_job.execute_in_process(instance=instance).run_id
        limit = datetime.now(UTC)
        young = small_job.execute_in_process(instance=instance).run_id
        unfinished = instance.create_run_for_job(small_job, status=dg.DagsterRunStatus.STARTED).run_id

        deleted = delete_old_runs(instance, limit)
        again = delete_old_runs(instance, limit)

        assert (deleted, again) == (1, 0)
        assert {run.run_id for run in instance.get_runs()} == {young, unfinished}
        assert instance.all_logs(young)
    assert list(tmp_path.rglob(f"*{old}*")) == []


def test_results_that_sensors_reported_are_deleted_when_they_are_old_and_those_of_runs_stay(
    environment: Prepared, tmp_path: Path
) -> None:
    from dagster_project.defs.maintenance.housekeeping import delete_old_reports

    key = dg.AssetCheckKey(dg.AssetKey(["raw", "events"]), "events_arrive_in_time")
    report = dg.AssetCheckEvaluation(asset_key=key.asset_key, check_name=key.name, passed=True, metadata={})

    @dg.asset_check(asset=key.asset_key)
    def of_a_run() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        storage = instance.event_log_storage
        dg.materialize([of_a_run], instance=instance, selection=dg.AssetSelection.all_asset_checks())
        instance.report_runless_asset_event(report)
        limit = datetime.now(UTC)
        instance.report_runless_asset_event(report)

        deleted = delete_old_reports(instance, limit)
        again = delete_old_reports(instance, limit)

        assert (deleted, again) == (1, 0)
        assert len(storage.get_asset_check_execution_history(key, limit=10)) == 1
        assert len(storage.get_logs_for_run("")) == 1
        assert len(storage.get_asset_check_execution_history(of_a_run.check_key, limit=10)) == 1


def test_old_arrivals_that_a_sensor_reported_are_deleted_but_for_the_newest(
    environment: Prepared, tmp_path: Path
) -> None:
    from dagster_project.defs.maintenance.housekeeping import delete_old_reports

    key = dg.AssetKey(["raw", "events"])
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for new_rows in range(3):
            instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"new_rows": new_rows}))

        deleted = delete_old_reports(instance, datetime.now(UTC) + timedelta(minutes=1))

        assert deleted == 2
        left = instance.fetch_materializations(key, limit=10).records
        assert [record.asset_materialization.metadata["new_rows"].value for record in left] == [2]
        assert len(instance.event_log_storage.get_logs_for_run("")) == 1
        latest = instance.get_latest_materialization_event(key)
        assert latest is not None


def test_directories_of_old_dbt_commands_are_deleted_and_the_prepared_files_stay(
    environment: Prepared, tmp_path: Path
) -> None:
    from dagster_project.defs.maintenance.housekeeping import delete_old_targets

    for name, age in {"models-old": timedelta(days=8), "models-young": timedelta(days=1)}.items():
        log_file = tmp_path / name / "dbt.log"
        log_file.parent.mkdir()
        log_file.touch()
        os.utime(log_file, times=((NOW - age).timestamp(),) * 2)
    (tmp_path / "compiled").mkdir()
    (tmp_path / "partial_parse.msgpack").touch()

    deleted = delete_old_targets(tmp_path, NOW - timedelta(days=7))

    assert deleted == 1
    assert {path.name for path in tmp_path.iterdir()} == {"models-young", "compiled", "partial_parse.msgpack"}


def test_leftover_tables_of_killed_commands_are_dropped_and_no_others(
    environment: Prepared, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    from dagster_project.defs.maintenance.housekeeping import drop_leftover_tables

    database = warehouse_settings.database("marts")
    warehouse.command(f"CREATE DATABASE {database}")
    for table in ("sessions", "sessions__dbt_new_data_1b2c", "sessions__dbt_tmp"):
        warehouse.command(f"CREATE TABLE {database}.{table} (day Date) ENGINE = MergeTree ORDER BY day")

    too_young = drop_leftover_tables(warehouse, warehouse_settings, NOW - timedelta(days=1))
    dropped = drop_leftover_tables(warehouse, warehouse_settings, datetime.now(UTC) + timedelta(minutes=1))

    assert too_young == []
    assert sorted(dropped) == [f"{database}.sessions__dbt_new_data_1b2c", f"{database}.sessions__dbt_tmp"]
    left = warehouse.query("SELECT name FROM system.tables WHERE database = {d:String}", parameters={"d": database})
    assert left.result_rows == [("sessions",)]


def test_housekeeping_asset_reports_what_it_deleted(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    key = dg.AssetKey(["maintenance", "housekeeping"])

    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[key]
    )

    [event] = result.asset_materializations_for_node("maintenance__housekeeping")
    assert {"deleted_runs", "deleted_targets", "dropped_tables"} <= set(event.metadata)
