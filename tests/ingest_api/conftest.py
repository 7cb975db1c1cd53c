"""One API for all tests of a module that do not break its dependencies."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ingest_api.config import ApiSettings
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.servers_given import Stoppable
from tests.ingest_api.serving import api_settings, serving
from warehouse.config import WarehouseSettings


@dataclass(frozen=True, slots=True)
class Api:
    """A running API with its settings."""

    client: httpx.Client
    settings: ApiSettings
    warehouse_settings: WarehouseSettings

    @property
    def environment(self) -> str:
        return self.warehouse_settings.clickhouse_database


@pytest.fixture(scope="module")
def api(gateway: Gateway, valkey: Valkey) -> Iterator[Api]:
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    with serving(settings, warehouse_settings) as client:
        yield Api(client, settings, warehouse_settings)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Stoppable]:
    servers = Stoppable(tmp_path)
    yield servers
    for name in list(servers.running):
        servers.stop(name)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
