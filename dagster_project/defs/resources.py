"""Doors to the outside: the warehouse and the dbt command. They read the environment when a run opens them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject
from packaging.version import Version, parse

from warehouse.client import Client, WarehouseUnavailable, connect
from warehouse.config import WarehouseSettings

ATTEMPTS_MORE = 3
FIRST_WAIT_SECONDS = 15.0


@contextmanager
def patiently(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Try the step again after 15, 30 and 60 seconds when ClickHouse is away or busy; any other failure is final."""
    try:
        yield
    except WarehouseUnavailable as error:
        wait_seconds = FIRST_WAIT_SECONDS * 2**context.op_execution_context.retry_number
        raise dg.RetryRequested(max_retries=ATTEMPTS_MORE, seconds_to_wait=wait_seconds) from error


class WarehouseResource(dg.ConfigurableResource[Any]):
    """Clients of the warehouse that `CLICKHOUSE_*` names."""

    @property
    def settings(self) -> WarehouseSettings:
        """Where the warehouse is and what its databases are called."""
        return WarehouseSettings()

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Open a client and close it after use.

        Raises:
            WarehouseUnavailable: nothing answers at `CLICKHOUSE_HOST`.
        """
        client = connect(self.settings)
        try:
            yield client
        finally:
            client.close()


class DbtCommand(DbtCliResource):
    """The dbt of this Python environment, on a leash, started at half of the usual cost.

    The resource asks `dbt --version` in a process of its own and opens a second database adapter inside the run, to
    fetch columns and row counts: 4 s of CPU a run. The version is a fact of the environment, row counts come from
    `defs.transform.facts`.
    """

    def __init__(self, project_dir: str | DbtProject, **fields: Any) -> None:
        fields.setdefault("dbt_executable", sys.executable)
        # -P: no Python from the project's directory. Escape codes for a terminal would end up in Dagster's page and in
        # alerts.
        fields.setdefault("global_config_flags", ["-P", "-m", "dagster_project.leashed_dbt", "--no-use-colors"])
        super().__init__(project_dir=project_dir, **fields)

    @cached_property
    def _cli_version(self) -> Version:
        return parse(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Any) -> Any:
        """No adapter: the field that takes it allows None."""
        return None
