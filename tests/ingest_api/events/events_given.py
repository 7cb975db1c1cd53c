"""Events put into the stream for a test, and what became of them."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from ingest_api.events.batches import Batch, batch_of
from ingest_api.events.entries import Entry, pack
from ingest_api.events.flusher import Flusher
from ingest_api.events.stream import Rows, open_event_stream
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import RawEvent, RejectedEvent

GIBIBYTE = 1024**3
NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)


def raw_event(event_id: str) -> RawEvent:
    return RawEvent(event_id, "page_view", "page_view", "u1", "", "", NOW, NOW, "{}", "{}", "web")


def lines_of(event_ids: Sequence[str]) -> list[bytes]:
    return [msgspec.json.encode(raw_event(event_id)) + b"\n" for event_id in event_ids]


def ids_of(count: int, prefix: str = "e") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def append(redis_url: str, environment: str, entries: Sequence[Sequence[str]]) -> None:
    """Put events into the stream, an entry for each sequence of ids."""

    async def run() -> None:
        async with open_event_stream(redis_url, environment, GIBIBYTE) as stream:
            for event_ids in entries:
                await stream.append(Rows(b"".join(lines_of(event_ids)), len(event_ids)))

    asyncio.run(run())


def batch_given(tables: Mapping[str, bytes], *, is_doubtful: bool = False) -> Batch:
    """The batch of one entry that was appended just now."""
    entry_id = b"%d-0" % int(time.time() * 1000)
    return batch_of([Entry(entry_id, tables.get("events", b"").count(b"\n"), tables, {})], is_doubtful=is_doubtful)


def stored_ids(warehouse: Client, settings: WarehouseSettings) -> list[str]:
    """Ids of all rows of `raw.events`, sorted, with repetitions."""
    answer = warehouse.query(f"SELECT event_id FROM {settings.database('raw')}.events ORDER BY event_id")
    return [row[0] for row in answer.result_rows]


def fields_of(group: Sequence[Rows]) -> dict[bytes, bytes]:
    """The fields of the entry that these rows become."""
    fields = pack(group)
    return dict(zip(fields[::2], fields[1::2], strict=True))


def rejected_rows(warehouse: Client, settings: WarehouseSettings) -> list[RejectedEvent]:
    """All rows of `raw.rejected_events` in the order of their event ids."""
    columns = ", ".join(RejectedEvent.__struct_fields__)
    query = f"SELECT {columns} FROM {settings.database('raw')}.rejected_events ORDER BY event_id"
    return [RejectedEvent(*row) for row in warehouse.query(query).result_rows]


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
