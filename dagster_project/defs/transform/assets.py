"""Every dbt model as an asset, every dbt test as a check on it."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from dagster_project.defs.resources import DbtCommand, WarehouseResource, patiently
from dagster_project.defs.transform.facts import table_facts
from dagster_project.defs.transform.lanes import nightly_tests
from dagster_project.defs.transform.project import dbt_project, manifest
from dagster_project.defs.transform.statements import QueryLog, end_left_over_statements
from dagster_project.defs.transform.translator import translator
from warehouse.client import WarehouseUnavailable, is_passing

WAREHOUSE_POOL = "dbt"
"""Pool of size 1 for everything that writes tables: two writers can bring back sessions that the other merged."""

STOP_TIMEOUT_SECONDS = 25
"""What dbt gets to cancel its statements."""

NIGHTLY_TESTS = " ".join(nightly_tests(manifest()))
"""Not part of the models' definition: leaving single checks out of a run makes dagster-dbt name every test to dbt,
and from 200 names on it runs a copy of the project that it never deletes."""

_NO_ANSWER = re.compile(
    r"Connection refused|Max retries exceeded|RemoteDisconnected|Connection (aborted|reset)|Read timed out"
)


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
                command.process.wait()


class ModelRun(dg.Config):
    """Choices at launch."""

    full_refresh: bool = False
    """Build the models anew from all raw events instead of the new ones only."""


def may_pass(failure: str) -> bool:
    """Whether dbt failed because ClickHouse was away or busy, so that trying again may help."""
    codes = re.findall(r"\bCode: (\d+)", failure)
    return all(is_passing(int(code)) for code in codes) if codes else bool(_NO_ANSWER.search(failure))


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
        DagsterDbtCliRuntimeError: a model or a test failed.
        Failure: a file under `dbt/` has changed so much that dbt names a model or test Dagster does not know.
    """
    # Unit tests are about code, not about data: they run in the test suite.
    arguments = ["build", "--exclude", NIGHTLY_TESTS, "--exclude-resource-type", "unit_test"]
    if config.full_refresh:
        arguments.append("--full-refresh")
    settings, started_at = warehouse.settings, datetime.now(UTC)
    with patiently(context), warehouse.client() as client:
        if left_over := end_left_over_statements(client, settings):
            context.log.warning(f"Ended {left_over} statements of a run that was killed.")
        log = QueryLog(client, settings, started_at)
        with ended(dbt.cli(arguments, context=context)) as command:
            try:
                for event in command.stream():
                    if not isinstance(event, dg.Output):
                        yield event
                        continue
                    facts = table_facts(client, settings, context.asset_key_for_output(event.output_name))
                    cost = log.cost_of(*(str(event.metadata[name].value) for name in ("invocation_id", "unique_id")))
                    yield event.with_metadata({**event.metadata, **facts, **cost})
            except KeyError as unknown:
                raise dg.Failure(
                    f"dbt ran {unknown}, which is not in the manifest that Dagster has loaded. After changes under "
                    "dbt/ run `python -m dagster_project.prepare`, then reload the definitions in the Deployment page."
                ) from unknown
            except DagsterDbtCliRuntimeError as error:
                if may_pass(str(error)):
                    raise WarehouseUnavailable(str(error)) from error
                raise
            finally:
                total = log.total()
                context.instance.add_run_tags(
                    context.run.run_id, {f"cost/{name}": str(value) for name, value in total.items()}
                )
