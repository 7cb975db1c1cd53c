"""Servers that tests share: a ClickHouse gateway and a Valkey for the whole run, a fresh environment for each test."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from local_stack.clickhouse_users import write_users_file
from local_stack.processes import Process, free_port, start_gateway, start_valkey
from warehouse.client import Client, connect
from warehouse.config import WarehouseSettings
from warehouse.migrate import migrate

# How long an example takes says more about the machine than about the code, above all the first one on a fresh machine.
hypothesis_settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For `pytest --hypothesis-profile=thorough`.
hypothesis_settings.register_profile("thorough", hypothesis_settings.get_profile("usual"), max_examples=10_000)
hypothesis_settings.load_profile("usual")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running ClickHouse gateway and how to log in."""

    port: int
    password: str
    bi_password: str
    process: Process

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Valkey:
    """A running Valkey server."""

    url: str
    process: Process


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("clickhouse")
    password, bi_password, port = secrets.token_hex(8), secrets.token_hex(8), free_port()
    users = directory / "users.xml"
    write_users_file(users, password, bi_password)
    process = start_gateway(directory / "data", port, users)
    try:
        process.wait_healthy()
        yield Gateway(port, password, bi_password, process)
    finally:
        process.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    directory = tmp_path_factory.mktemp("valkey")
    password, port = secrets.token_hex(8), free_port()
    process = start_valkey(directory, port, password)
    try:
        process.wait_healthy()
        yield Valkey(f"redis://:{password}@127.0.0.1:{port}", process)
    finally:
        process.stop()


def fresh_settings(gateway: Gateway) -> WarehouseSettings:
    """Settings of an environment of its own, with its tables migrated: another database name shares nothing."""
    settings = WarehouseSettings(
        clickhouse_host=gateway.host,
        clickhouse_username="default",
        clickhouse_password=gateway.password,
        clickhouse_database=f"test_{secrets.token_hex(4)}",
        clickhouse_cluster="",
    )
    client = connect(settings)
    migrate(client, settings)
    client.close()
    return settings


@pytest.fixture
def warehouse_settings(gateway: Gateway) -> WarehouseSettings:
    return fresh_settings(gateway)


@pytest.fixture
def warehouse(warehouse_settings: WarehouseSettings) -> Iterator[Client]:
    client = connect(warehouse_settings)
    yield client
    client.close()


@pytest.fixture
def project_root() -> Path:
    return Path(__file__).resolve().parents[1]
