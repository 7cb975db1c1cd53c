"""Deletes what runs leave behind: Dagster and dbt keep everything for ever."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from sqlalchemy import func, select

from dagster_project.defs.resources import WarehouseResource, patiently
from dagster_project.defs.transform.assets import WAREHOUSE_POOL
from dagster_project.defs.transform.project import dbt_project, manifest
from dagster_project.defs.transform.translator import default_owners
from warehouse.client import Client
from warehouse.config import WarehouseSettings

RUNS_KEPT = timedelta(days=30)
TARGETS_KEPT = timedelta(days=7)
"""dbt's logs and compiled SQL of one run, about 2 MB each."""
REPORTS = ("ASSET_CHECK_EVALUATION", "ASSET_MATERIALIZATION")
REPORTS_KEPT = timedelta(days=7)
"""Results of checks and arrivals that a sensor reports without a run; the freshness probe alone reports 5 MB a day."""
LEFTOVERS_KEPT = timedelta(days=1)
RUNS_A_NIGHT = 2000
"""Bounds one night's work after a long pause; the next night goes on."""

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete finished runs created before a moment, with their events and their output; return how many."""
    old = dg.RunsFilter(statuses=FINISHED, created_before=before)
    records = instance.get_run_records(filters=old, limit=RUNS_A_NIGHT, ascending=True)
    for record in records:
        run_id = record.dagster_run.run_id
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        storage = instance.event_log_storage
        if isinstance(storage, SqliteEventLogStorage):
            # SQLite keeps one file a run, and deleting its rows does not give the space back.
            for path in Path(storage.path_for_shard(run_id)).parent.glob(f"{run_id}.db*"):
                path.unlink(missing_ok=True)
    return len(records)


def delete_old_reports(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete what sensors reported without a run before a moment, but for the newest of each kind; return how much."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    events, results = SqlEventLogStorageTable, AssetCheckExecutionsTable
    # Dagster's tables hold naive UTC.
    moment = before.astimezone(UTC).replace(tzinfo=None)
    old_results = results.delete().where(results.c.run_id == "", results.c.evaluation_event_timestamp < moment)
    # The last one tells when a table that others fill was last filled.
    newest = (
        select(func.max(events.c.id))
        .where(events.c.run_id == "")
        .group_by(events.c.asset_key, events.c.dagster_event_type)
    )
    old_events = events.delete().where(
        events.c.run_id == "",
        events.c.dagster_event_type.in_(REPORTS),
        events.c.timestamp < moment,
        events.c.id.not_in(newest.scalar_subquery()),
    )
    with storage.index_transaction() as index:
        index.execute(old_results)
        deleted = index.execute(old_events).rowcount
    # SQLite keeps the events once more, in the file of the run without a name.
    with storage.run_connection("") as shard:
        shard.execute(old_events)
    return deleted


def delete_old_targets(target_directory: Path, before: datetime) -> int:
    """Delete the directories that single dbt commands wrote below the target directory; return how many."""
    # A command's directory holds its log; dbt's own (compiled, run) hold none.
    old = [
        log_file.parent
        for log_file in target_directory.glob("*/dbt.log")
        if log_file.stat().st_mtime < before.timestamp()
    ]
    for directory in old:
        shutil.rmtree(directory)
    return len(old)


def drop_leftover_tables(client: Client, settings: WarehouseSettings, before: datetime) -> list[str]:
    """Drop the temporary tables of killed dbt commands that are older than a moment; return their names."""
    databases = [
        settings.clickhouse_database,
        settings.database("staging"),
        settings.database("intermediate"),
        settings.database("marts"),
    ]
    leftovers = client.query(
        "SELECT database, name FROM system.tables WHERE database IN {databases:Array(String)} "
        r"AND match(name, '__dbt_(new_data|tmp|backup)') AND metadata_modification_time < {before:DateTime('UTC')}",
        parameters={"databases": databases, "before": before},
    )
    for database, table in leftovers.result_rows:
        client.command(
            "DROP TABLE IF EXISTS {database:Identifier}.{table:Identifier}",
            parameters={"database": database, "table": table},
        )
    return [f"{database}.{table}" for database, table in leftovers.result_rows]


@dg.asset(
    key=["maintenance", "housekeeping"],
    group_name="maintenance",
    kinds={"python"},
    owners=default_owners(manifest()),
    pool=WAREHOUSE_POOL,
    description="Deletes old runs, old dbt output, old reports of sensors and leftover temporary tables. Runs are kept "
    "for 30 days, output and reports for 7.",
)
def housekeeping(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
    """Delete each kind and say how many."""
    now = datetime.now(UTC)
    project = dbt_project()
    with patiently(context), warehouse.client() as client:
        tables = drop_leftover_tables(client, warehouse.settings, now - LEFTOVERS_KEPT)
    return dg.MaterializeResult(
        metadata={
            "deleted_runs": delete_old_runs(context.instance, now - RUNS_KEPT),
            "deleted_reports": delete_old_reports(context.instance, now - REPORTS_KEPT),
            "deleted_targets": delete_old_targets(project.project_dir / project.target_path, now - TARGETS_KEPT),
            "dropped_tables": tables,
        }
    )
