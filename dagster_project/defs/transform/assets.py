"""Every dbt model as an asset, every dbt test as a check on it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, dbt_assets

from dagster_project.defs.resources import DbtCommand, WarehouseResource
from dagster_project.defs.transform.facts import table_facts
from dagster_project.defs.transform.project import dbt_project, manifest
from dagster_project.defs.transform.translator import translator

WAREHOUSE_POOL = "dbt"
"""Pool of size 1 for everything that writes tables: two writers can bring back sessions that the other merged."""

STOP_TIMEOUT_SECONDS = 25
"""What dbt gets to cancel its statements."""

NIGHTLY_TAG = "nightly"
NIGHTLY_TESTS = f"tag:{NIGHTLY_TAG},resource_type:test"
"""Not part of the models' definition: leaving single checks out of a run makes dagster-dbt name every test to dbt,
and from 200 names on it runs a copy of the project that it never deletes."""


@contextmanager
def ended(command: DbtCliInvocation) -> Iterator[DbtCliInvocation]:
    """Stop the dbt process when its run ends early: it would go on writing beside the next run."""
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.process.send_signal(signal.SIGINT)
            try:
                command.process.wait(timeout=STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                command.process.kill()


class ModelRun(dg.Config):
    """Choices at launch."""

    full_refresh: bool = False
    """Build the models anew from all raw events instead of the new ones only."""


@dbt_assets(
    manifest=manifest(),
    project=dbt_project(),
    name="models",
    exclude=NIGHTLY_TESTS,
    pool=WAREHOUSE_POOL,
    dagster_dbt_translator=translator,
)
def models(
    context: dg.AssetExecutionContext, config: ModelRun, dbt: DbtCommand, warehouse: WarehouseResource
) -> Iterator[Any]:
    """Build and test the selected models in one `dbt build`; a failed test keeps what stands behind it unbuilt.

    Raises:
        Failure: a file under `dbt/` has changed so much that dbt names a model or test Dagster does not know.
    """
    # Unit tests are about code, not about data: they run in the test suite.
    arguments = ["build", "--exclude", NIGHTLY_TESTS, "--exclude-resource-type", "unit_test"]
    if config.full_refresh:
        arguments.append("--full-refresh")
    settings = warehouse.settings
    with warehouse.client() as client, ended(dbt.cli(arguments, context=context)) as command:
        try:
            for event in command.stream():
                if not isinstance(event, dg.Output):
                    yield event
                    continue
                key = context.asset_key_for_output(event.output_name)
                yield event.with_metadata({**event.metadata, **table_facts(client, settings, key)})
        except KeyError as unknown:
            raise dg.Failure(
                f"dbt ran {unknown}, which is not in the manifest that Dagster has loaded. After changes under dbt/ "
                "run `python -m dagster_project.prepare`, then reload the definitions in the Deployment page."
            ) from unknown
