"""`python -m dagster_project.prepare`: make ready what Dagster's processes read when they start.

Writes `$DAGSTER_HOME/dagster.yaml` and dbt's manifest. Run it before `dagster-webserver` and `dagster-daemon`, and
again after a change under `dbt/`. Nothing here needs the warehouse to answer.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.resources import DbtCommand
from dagster_project.defs.transform.project import dbt_project

ABANDONED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def prepare_instance(home: Path, *, in_postgres: bool) -> Path:
    """Put the instance file into `home`, which is made when missing, and return where it is."""
    home.mkdir(parents=True, exist_ok=True)
    name = "instance.postgres.yaml" if in_postgres else "instance.yaml"
    return Path(shutil.copyfile(Path(__file__).with_name(name), home / "dagster.yaml"))


def close_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark every unfinished run that is not waiting in the queue as failed, and return their ids.

    Dagster does not notice that the process of a run is gone: the run would hold the only slot until its time is up.
    Call it only while no Dagster process of this instance runs. The daemon then starts the failed runs again.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=ABANDONED))
    for run in runs:
        instance.report_run_failed(run, "Dagster was stopped while this run was going on.")
    return [run.run_id for run in runs]


def prepare_manifest() -> Path:
    """Parse the dbt project into the directory that runs copy their partial parse from; return the manifest's path.

    Raises:
        DagsterDbtCliRuntimeError: dbt cannot parse the project; the message holds dbt's own words.
    """
    # dbt throws its partial parse away when it is called with other arguments than the time before, and then every
    # run parses all files: parse with the same resource and project that run it.
    project = dbt_project()
    DbtCommand(project_dir=project).cli(["parse", "--quiet"], target_path=project.target_path).wait()
    return project.manifest_path


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare instance and manifest, and print where they are."""
    parser = argparse.ArgumentParser(prog="dagster_project.prepare", description=__doc__)
    parser.add_argument(
        "--fresh-start",
        action="store_true",
        help="no Dagster process runs on this instance: also mark runs that a killed one left unfinished as failed",
    )
    options = parser.parse_args(arguments)
    settings = OrchestrationSettings()
    if settings.dagster_home is not None:
        sys.stdout.write(f"{prepare_instance(settings.dagster_home, in_postgres=bool(settings.dagster_pg_url))}\n")
        # Opening the instance makes its tables; processes that start together would trip over each other doing so.
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            for run_id in close_abandoned_runs(instance) if options.fresh_start else []:
                sys.stdout.write(f"run {run_id} was left unfinished: marked as failed\n")
    sys.stdout.write(f"{prepare_manifest()}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
