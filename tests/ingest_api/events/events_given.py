"""Events put into the stream for a test, and what became of them."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from ingest_api.events.flusher import Flusher
from ingest_api.events.normalise import normalise
from ingest_api.events.payload import Rejection, TrackEvent
from ingest_api.events.stream import open_event_stream
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import RawEvent

NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)


def raw_event(event_id: str) -> RawEvent:
    row = normalise(TrackEvent(event_name="page_view", user_id="u1", event_id=event_id), "web", NOW)
    assert not isinstance(row, Rejection)
    return row


def lines_of(event_ids: Sequence[str]) -> list[bytes]:
    return [msgspec.json.encode(raw_event(event_id)) + b"\n" for event_id in event_ids]


def ids_of(count: int, prefix: str = "e") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def append(redis_url: str, environment: str, entries: Sequence[Sequence[str]]) -> None:
    """Put events into the stream, an entry for each sequence of ids."""

    async def run() -> None:
        async with open_event_stream(redis_url, environment) as stream:
            for event_ids in entries:
                await stream.append(b"".join(lines_of(event_ids)), len(event_ids))

    asyncio.run(run())


def stored_ids(warehouse: Client, settings: WarehouseSettings) -> list[str]:
    """Ids of all rows of `raw.events`, sorted, with repetitions."""
    answer = warehouse.query(f"SELECT event_id FROM {settings.database('raw')}.events ORDER BY event_id")
    return [row[0] for row in answer.result_rows]


@contextmanager
def running(flusher: Flusher) -> Iterator[Flusher]:
    """A flusher that runs in a thread until the block is left."""
    thread = threading.Thread(target=flusher.run)
    thread.start()
    try:
        yield flusher
    finally:
        flusher.stop()
        thread.join()
