"""An API that takes events, for commands that send some."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from redis import Redis

from ingest_api.events.entries import EVENTS, unpack
from ingest_api.events.stream import stream_keys
from tests.conftest import Valkey
from tests.ingest_api.serving import api_settings, nowhere, serving, write_key_for


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running API with a fresh environment, and what it has taken."""

    url: str
    key: str
    redis: Redis
    environment: str

    def rows(self) -> list[dict[str, Any]]:
        """The accepted events in order, with their properties decoded."""
        entries = self.redis.xrange(stream_keys(self.environment).events)
        rows = [
            json.loads(line)
            for entry_id, fields in entries
            for line in unpack(entry_id, fields).tables[EVENTS].splitlines()
        ]
        return [row | {"properties": json.loads(row["properties"], parse_float=str)} for row in rows]


@pytest.fixture
def receiver(valkey: Valkey) -> Iterator[Receiver]:
    settings, warehouse = api_settings(valkey.url), nowhere()
    key, _ = write_key_for(settings, warehouse.clickhouse_database, "backend")
    with serving(settings, warehouse) as client, Redis.from_url(valkey.url) as redis:
        yield Receiver(str(client.base_url), key, redis, warehouse.clickhouse_database)


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages name paths, and those of a test's directory grow with the number of runs: no line may wrap."""
    monkeypatch.setenv("COLUMNS", "400")
