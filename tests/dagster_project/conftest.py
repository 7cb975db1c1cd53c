"""A prepared environment: an instance, dbt's manifest, and the definitions they load."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.conftest import Gateway, fresh_settings
from warehouse.client import Client, connect
from warehouse.config import WarehouseSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `python -m dagster_project.prepare` has made ready, and the variables it was called with."""

    settings: WarehouseSettings
    variables: dict[str, str]
    home: Path
    target: Path


def variables_of(settings: WarehouseSettings, home: Path, target: Path) -> dict[str, str]:
    return {
        "CLICKHOUSE_HOST": settings.clickhouse_host,
        "CLICKHOUSE_USERNAME": settings.clickhouse_username,
        "CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
        "CLICKHOUSE_DATABASE": settings.clickhouse_database,
        "CLICKHOUSE_CLUSTER": "",
        "ANALYTICS_SAFETY_LAG_SECONDS": "0",
        "DAGSTER_HOME": str(home),
        "DAGSTER_PG_URL": "",
        "DBT_TARGET_PATH": str(target),
    }


@pytest.fixture(scope="session")
def prepared(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    directory = tmp_path_factory.mktemp("dagster")
    settings = fresh_settings(gateway)
    variables = variables_of(settings, directory / "home", directory / "target")
    subprocess.run(
        [sys.executable, "-m", "dagster_project.prepare"],
        check=True,
        timeout=300,
        env=os.environ | variables,
        cwd=Path(__file__).parents[2],
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DBT_TARGET_PATH", variables["DBT_TARGET_PATH"])
        # The definitions know their manifest from here on, whatever the environment says later.
        import dagster_project.definitions  # noqa: F401
    return Prepared(settings, variables, directory / "home", directory / "target")


@pytest.fixture
def environment(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    for name, value in prepared.variables.items():
        monkeypatch.setenv(name, value)
    return prepared


@pytest.fixture
def definitions(environment: Prepared) -> dg.Definitions:
    from dagster_project.definitions import defs

    return defs


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def client(prepared: Prepared) -> Iterator[Client]:
    client = connect(prepared.settings)
    yield client
    client.close()


def shop_events(settings: WarehouseSettings, client: Client) -> None:
    """Two visitors on two days: views, a cart, a sale of 40.50 and a refund of it."""
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    stories = {
        "ada": [(0, "page_view", {}), (60, "add_to_cart", {}), (120, "purchase", {"revenue": 40.5, "order_id": "o-1"})],
        "bob": [(0, "page_view", {}), (86_400, "page_view", {})],
        "eve": [(86_400, "refund", {"revenue": 40.5, "order_id": "o-1"})],
    }
    rows = [
        [
            f"{user}-{number}",
            name,
            "user_action",
            user,
            start + timedelta(seconds=second),
            start,
            json.dumps(properties),
        ]
        for user, story in stories.items()
        for number, (second, name, properties) in enumerate(story)
    ]
    columns = ["event_id", "event_name", "event_type", "user_id", "occurred_at", "received_at", "properties"]
    client.insert("events", rows, column_names=columns, database=settings.database("raw"))


def built_tables(client: Client, settings: WarehouseSettings) -> dict[str, str]:
    """The real name of each table that dbt owns, by `layer/table`."""
    layers = [settings.database("staging"), settings.database("intermediate"), settings.database("marts")]
    answer = client.query(
        "SELECT database, name FROM system.tables WHERE database IN {layers:Array(String)} AND engine != 'View'",
        parameters={"layers": layers},
    )
    prefix = f"{settings.clickhouse_database}_"
    return {f"{base.removeprefix(prefix)}/{name}": f"{base}.{name}" for base, name in answer.result_rows}


def fingerprints(client: Client, settings: WarehouseSettings) -> dict[str, tuple[int, int]]:
    """Rows and a hash of the rows of every mart, without when they were written."""
    rows = "SELECT count(), sum(cityHash64(*)) FROM (SELECT * EXCEPT refreshed_at FROM {table})"
    return {
        name: client.query(rows.format(table=table)).result_rows[0]
        for name, table in built_tables(client, settings).items()
        if name.startswith("marts/")
    }


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run and when it began (epoch seconds)."""

    result: dg.ExecuteInProcessResult
    started_at: float

    @property
    def metadata(self) -> dict[str, dict[str, dg.MetadataValue[object]]]:
        """What each materialization says, by `layer/table`."""
        return {
            event.asset_key.to_user_string(): dict(event.materialization.metadata)
            for event in self.result.get_asset_materialization_events()
            if event.asset_key
        }


def execute(
    job_name: str,
    instance: dg.DagsterInstance,
    only: Sequence[str] | None = None,
    run_config: Mapping[str, Any] | None = None,
) -> Run:
    """Run a job in this process, or only some of its assets."""
    from dagster_project.definitions import defs

    selection = only and [dg.AssetKey.from_user_string(name) for name in only]

    job = defs.resolve_job_def(job_name)
    started_at = time.time()
    result = job.execute_in_process(
        run_config=run_config, instance=instance, raise_on_error=False, asset_selection=selection
    )
    return Run(result, started_at)


@pytest.fixture(scope="session")
def first_run(prepared: Prepared) -> Iterator[Run]:
    """The hourly job, once, over the events of a small shop."""
    client = connect(prepared.settings)
    shop_events(prepared.settings, client)
    client.close()
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in prepared.variables.items():
                environment.setenv(name, value)
            run = execute("hourly_marts_job", instance)
        yield run


@pytest.fixture
def false_revenue(first_run: Run, environment: Prepared, client: Client) -> Iterator[None]:
    """A row in the revenue mart whose net amount is not gross minus refunds."""
    table = f"{environment.settings.database('marts')}.revenue_daily"
    client.command(
        f"INSERT INTO {table} (revenue_date, currency, gross_revenue_amount, net_revenue_amount) "
        "VALUES ('2020-01-01', 'XXX', 1, 5)"
    )
    yield
    client.command(f"DELETE FROM {table} WHERE currency = 'XXX'")


@pytest.fixture
def no_requests_left(client: Client, prepared: Prepared) -> Iterator[None]:
    yield
    client.command(f"TRUNCATE TABLE {prepared.settings.database('ops')}.replay_requests")
