"""The baseline of the ingest path: its own lines of JSON, inserted straight into a table like `raw.events`."""

import http.client
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import redis

from benchmarks.harness.load import Load
from benchmarks.harness.tracking import Request
from ingest_api.events.entries import EVENTS, unpack
from ingest_api.events.stream import stream_keys
from local_stack.ports import LOOPBACK
from local_stack.startup import IngestStack
from local_stack.valkey_server import valkey_url

BARE_ROWS = 10_000
"""Rows of one insert."""


def lines_of(running: IngestStack, requests: Iterable[Request]) -> list[bytes]:
    """What the API writes into the stream for these requests: a line of JSON for each event. No flusher may run."""
    programs = running.programs
    Load(programs.settings.ports.api, iter(requests)).run()
    key = stream_keys(programs.settings.database).events
    url = valkey_url(programs.settings.ports.valkey, programs.credentials.valkey_password)
    with redis.Redis.from_url(url) as valkey:
        entries: Any = valkey.xrange(key)
        valkey.delete(key)
    return [line for entry_id, fields in entries for line in unpack(entry_id, fields).tables[EVENTS].splitlines(True)]


@dataclass(frozen=True, slots=True)
class BareEngine:
    """Inserts blocks of rows one after the other over one connection."""

    running: IngestStack
    blocks: list[bytes]

    @classmethod
    def of_lines(cls, running: IngestStack, lines: list[bytes]) -> "BareEngine":
        """Prepare lines for inserts of `BARE_ROWS` rows."""
        return cls(running, [b"".join(lines[start : start + BARE_ROWS]) for start in range(0, len(lines), BARE_ROWS)])

    def insert(self) -> float:
        """Insert all rows into a new table and answer how many seconds it took.

        Raises:
            RuntimeError: the engine refused them.
        """
        programs = self.running.programs
        raw = f"`{programs.settings.database}_raw`"
        connection = http.client.HTTPConnection(LOOPBACK, programs.settings.ports.clickhouse)
        self._request(connection, f"CREATE OR REPLACE TABLE {raw}.bare AS {raw}.events")
        started = time.perf_counter()
        for block in self.blocks:
            self._request(connection, f"INSERT INTO {raw}.bare FORMAT JSONEachRow", block)
        seconds = time.perf_counter() - started
        connection.close()
        return seconds

    def _request(self, connection: http.client.HTTPConnection, query: str, rows: bytes = b"") -> None:
        parameters = {"query": query, "date_time_input_format": "best_effort", "async_insert": "0"}
        password = self.running.programs.credentials.clickhouse_password
        headers = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": password}
        connection.request("POST", f"/?{urlencode(parameters)}", rows, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(text.decode())
