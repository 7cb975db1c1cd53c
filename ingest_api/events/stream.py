"""The durable stream between the API and the warehouse: its keys in Valkey, appending to it, and how it is doing.

Appending is a group commit. While one append is on its way to disk, all requests that come in wait together and become
the one next entry: an fsync is paid once for all of them. An answer is given only after Valkey has answered.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from ingest_api import background_tasks
from ingest_api.errors import StreamAway
from ingest_api.events.appending import StreamWriter
from ingest_api.events.entries import Rows, entry_time, pack
from ingest_api.events.memory_bound import MemoryBound

__all__ = [
    "GROUP",
    "EventStream",
    "Rows",
    "StreamKeys",
    "StreamState",
    "open_event_stream",
    "stream_keys",
    "stream_state",
]

GROUP = "flushers"
"""The consumer group that all flushers are members of."""
_MAX_ENTRY_BYTES = 4 * 1024 * 1024
_MAX_WAITING_BYTES = 64 * 1024 * 1024
_RETRY_WHEN_FULL_SECONDS = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """Names in Valkey. The braces keep all keys of one environment on one node of a cluster."""

    events: str
    intents: str
    """What flushers are about to insert: token to entries."""
    dead_letters: str
    """Entries and rows that no table takes, each with the reason."""
    flusher_prefix: str
    """Followed by a consumer's name: exists while that flusher lives."""
    writer_prefix: str
    """Followed by a writer's name: the number of its latest append."""


def stream_keys(database: str) -> StreamKeys:
    """The keys of the environment that `CLICKHOUSE_DATABASE` names."""
    stem = f"{{{database}}}:events"
    return StreamKeys(stem, f"{stem}:intents", f"{stem}:dead", f"{stem}:flusher:", f"{stem}:writer:")


class _Waiting(NamedTuple):
    rows: Rows
    size_bytes: int
    stored: asyncio.Future[None]


class EventStream:
    """Appends rows to the stream, many requests at a time. Made by `open_event_stream`."""

    def __init__(
        self,
        writer: StreamWriter,
        bound: MemoryBound,
        max_waiting_bytes: int = _MAX_WAITING_BYTES,
        appended: Callable[[int, float], None] = lambda events, seconds: None,
    ) -> None:
        self._writer = writer
        self._bound = bound
        self._appended = appended
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False

    def append(self, rows: Rows) -> asyncio.Future[None]:
        """What is done when the rows are on disk: all, and once.

        Raises, or fails with:
            StreamAway: they are not known to be; the client has to send them again. Code `stream_full` when there is
                no room for them, and for sure none of them was kept.
        """
        if self._closing:
            raise StreamAway("The service is stopping; send the events again.")
        if self._bound.is_reached:
            raise _full()
        size_bytes = rows.size_bytes()
        if self._waiting_bytes + size_bytes > self._max_waiting_bytes:
            raise StreamAway("More events are waiting to be stored than fit; send them again.", code="stream_full")
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(rows, size_bytes, stored))
        self._waiting_bytes += size_bytes
        self._wake.set()
        return stored

    async def write(self) -> None:
        """Write what waits, one entry at a time, until `close` was called and nothing waits any more."""
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group = self._next_group()
                error = await self._write_entry(group)
                self._answer(group, error)
                if error is not None:
                    # The others would only wait as long for the same answer.
                    others, self._waiting = self._waiting, []
                    self._answer(others, error)

    def close(self) -> None:
        """Take nothing more; `write` returns when what waits is written."""
        self._closing = True
        self._wake.set()

    def _next_group(self) -> list[_Waiting]:
        if self._waiting_bytes <= _MAX_ENTRY_BYTES:
            group, self._waiting = self._waiting, []
            return group
        totals = accumulate(waiting.size_bytes for waiting in self._waiting)
        fitting = max(1, bisect_right(list(totals), _MAX_ENTRY_BYTES))
        group, self._waiting = self._waiting[:fitting], self._waiting[fitting:]
        return group

    async def _write_entry(self, group: list[_Waiting]) -> StreamAway | None:
        began = time.perf_counter()
        try:
            await self._writer.append(pack([waiting.rows for waiting in group]))
        except OutOfMemoryError as error:
            log.warning("stream_append_refused", requests=len(group), reason=str(error))
            return _full()
        except (RedisError, OSError) as error:
            log.warning("stream_append_failed", requests=len(group), reason=str(error))
        except Exception:
            # Anything else is a defect, but an end of this task would let every later request wait for ever.
            log.exception("stream_append_failed", requests=len(group))
        else:
            self._appended(sum(waiting.rows.event_count for waiting in group), time.perf_counter() - began)
            return None
        return StreamAway("The event stream did not confirm the events; send them again.")

    def _answer(self, group: list[_Waiting], error: StreamAway | None) -> None:
        for _, size_bytes, stored in group:
            self._waiting_bytes -= size_bytes
            if stored.done():
                continue  # its request was cancelled while it waited
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)


@asynccontextmanager
async def open_event_stream(
    redis_url: str,
    database: str,
    max_bytes: int,
    appended: Callable[[int, float], None] = lambda events, seconds: None,
) -> AsyncIterator[EventStream]:
    """An `EventStream` that writes while the context is open; leaving the context first writes what waits.

    It refuses rows while Valkey uses more than `max_bytes` of memory. Valkey need not be there yet. `appended` is told
    of each entry that Valkey confirmed: how many events it holds and how many seconds it took.
    """
    keys = stream_keys(database)
    redis = Redis.from_url(redis_url, socket_connect_timeout=1, socket_timeout=5, retry=Retry(NoBackoff(), 0))
    bound = MemoryBound(redis, max_bytes)
    writer = StreamWriter(redis_url, keys.events, keys.writer_prefix)
    stream = EventStream(writer, bound, appended=appended)
    writing = asyncio.create_task(stream.write(), name="event-stream-writer")
    watching = asyncio.create_task(bound.watch(), name="event-stream-bound")
    try:
        yield stream
    finally:
        stream.close()
        await writing
        await background_tasks.end(watching)
        await writer.close()
        await redis.aclose()


def _full() -> StreamAway:
    return StreamAway(
        "The event stream is as full as it may get; send the events again.",
        code="stream_full",
        retry_after_seconds=_RETRY_WHEN_FULL_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far behind the stream is."""

    length: int
    """Entries that are not in the warehouse yet."""
    pending: int
    """Those of them that a flusher has taken."""
    oldest_seconds: float
    """Age of the oldest of them, 0 when there is none."""
    flushers_alive: int
    dead_letters: int
    """Entries and rows that no table takes."""
    used_bytes: int
    """Memory that Valkey uses; at `ANALYTICS_STREAM_MAX_BYTES` events are refused."""

    @property
    def flusher_alive(self) -> bool:
        """Whether anybody carries events on."""
        return self.flushers_alive > 0


async def stream_state(redis: Redis, database: str) -> StreamState:
    """Look at the stream; raises `redis.exceptions.RedisError` when Valkey is away."""
    keys = stream_keys(database)
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.xlen(keys.events)
        pipeline.xrange(keys.events, count=1)
        pipeline.time()
        pipeline.xlen(keys.dead_letters)
        pipeline.info("memory")
        length, oldest, (seconds, microseconds), dead_letters, memory = await pipeline.execute()
    pending, alive = 0, 0
    with suppress(ResponseError):  # the first flusher makes the group
        pending = int((await redis.xpending(keys.events, GROUP))["pending"])
        for consumer in await redis.xinfo_consumers(keys.events, GROUP):
            alive += await redis.exists(keys.flusher_prefix + consumer["name"].decode())
    return StreamState(
        length=length,
        pending=pending,
        oldest_seconds=max(0.0, seconds + microseconds / 1e6 - entry_time(oldest[0][0])) if oldest else 0.0,
        flushers_alive=alive,
        dead_letters=dead_letters,
        used_bytes=int(memory["used_memory"]),
    )
