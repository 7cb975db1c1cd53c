"""A prepared environment: an instance, dbt's manifest, and the definitions they load."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
        timeout=120,
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
