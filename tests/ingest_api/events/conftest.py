"""An environment of its own in the shared Valkey, and a Valkey of its own, for tests that need no warehouse."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from local_stack.processes import free_port, start_valkey
from tests.conftest import Valkey
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import write_key_for


class Server:
    """A Valkey server that a test may stop, kill and fill. It keeps its data and its address."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        self._process = start_valkey(self._directory, self._port)
        self._process.wait_healthy()

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def environment() -> str:
    return f"test_{secrets.token_hex(4)}"


@pytest.fixture
def key(api: Api) -> dict[str, str]:
    """The header of a write key for the source `ios`."""
    return {"x-write-key": write_key_for(api.settings, api.environment, "ios")[0]}


@pytest.fixture
def redis(valkey: Valkey) -> Iterator[Redis]:
    with Redis.from_url(valkey.url) as redis:
        yield redis
