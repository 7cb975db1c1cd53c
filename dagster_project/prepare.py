"""`python -m dagster_project.prepare`: make ready what Dagster's processes read when they start.

Writes `$DAGSTER_HOME/dagster.yaml` and dbt's manifest. Run it before `dagster-webserver` and `dagster-daemon`, and
again after a change under `dbt/`. Nothing here needs the warehouse to answer.
"""

import shutil
import sys
from pathlib import Path

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.resources import DbtCommand
from dagster_project.defs.transform.project import dbt_project


def prepare_instance(home: Path, *, in_postgres: bool) -> Path:
    """Put the instance file into `home`, which is made when missing, and return where it is."""
    home.mkdir(parents=True, exist_ok=True)
    name = "instance.postgres.yaml" if in_postgres else "instance.yaml"
    return Path(shutil.copyfile(Path(__file__).with_name(name), home / "dagster.yaml"))


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


def main() -> int:
    """Prepare both and print where they are."""
    settings = OrchestrationSettings()
    if settings.dagster_home is not None:
        sys.stdout.write(f"{prepare_instance(settings.dagster_home, in_postgres=bool(settings.dagster_pg_url))}\n")
    sys.stdout.write(f"{prepare_manifest()}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
