"""The durable stream between the API and the warehouse: its keys in Valkey, appending to it, and how it is doing.

Appending is a group commit. While one append is on its way to disk, all requests that come in wait together and become
the one next entry: an fsync is paid once for all of them. An answer is given only after Valkey has answered.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError, ResponseError

from ingest_api.errors import StreamAway

GROUP = "flushers"
ENTRY_COUNT, ENTRY_LINES = b"n", b"b"
"""Fields of one entry: how many events it holds, and they as lines of JSON with the columns of `raw.events`."""

_MAX_ENTRY_BYTES = 4 * 1024 * 1024
_MAX_WAITING_BYTES = 64 * 1024 * 1024
_RETRIES = 3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """Names in Valkey. The braces keep all keys of one environment on one node of a cluster."""

    events: str
    dead_letters: str
    """Entries and rows that the warehouse refused for their data, each with the reason."""
    flusher_prefix: str
    """Followed by a consumer's name: exists while that flusher lives."""


def stream_keys(database: str) -> StreamKeys:
    """The keys of the environment that `CLICKHOUSE_DATABASE` names."""
    stem = f"{{{database}}}:events"
    return StreamKeys(stem, f"{stem}:dead", f"{stem}:flusher:")


@dataclass(slots=True)
class _Waiting:
    lines: bytes
    count: int
    stored: asyncio.Future[None]


class EventStream:
    """Appends events to the stream, many requests at a time. Made by `open_event_stream`."""

    def __init__(self, redis: Redis, key: str, max_waiting_bytes: int = _MAX_WAITING_BYTES) -> None:
        self._redis = redis
        self._key = key
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False

    async def append(self, lines: bytes, count: int) -> None:
        """Return when `count` events, one JSON line each, are on disk.

        Raises:
            StreamAway: they are not known to be; the client has to send them again.
        """
        if self._closing or self._waiting_bytes + len(lines) > self._max_waiting_bytes:
            raise StreamAway("More events are waiting to be stored than fit; send them again.", code="stream_full")
        waiting = _Waiting(lines, count, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._waiting_bytes += len(lines)
        self._wake.set()
        await waiting.stored

    async def write(self) -> None:
        """Write what waits, one entry at a time, until `close` was called and nothing waits any more."""
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group = self._next_group()
                error = await self._write_entry(group)
                for waiting in group:
                    self._waiting_bytes -= len(waiting.lines)
                    if waiting.stored.done():
                        continue  # its request was cancelled while it waited
                    if error is None:
                        waiting.stored.set_result(None)
                    else:
                        waiting.stored.set_exception(error)

    def close(self) -> None:
        """Take nothing more; `write` returns when what waits is written."""
        self._closing = True
        self._wake.set()

    def _next_group(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        size = len(group[0].lines)
        while self._waiting and size + len(self._waiting[0].lines) <= _MAX_ENTRY_BYTES:
            group.append(self._waiting.popleft())
            size += len(group[-1].lines)
        return group

    async def _write_entry(self, group: list[_Waiting]) -> StreamAway | None:
        entry: dict[Any, Any] = {
            ENTRY_COUNT: sum(waiting.count for waiting in group),
            ENTRY_LINES: b"".join(waiting.lines for waiting in group),
        }
        try:
            await self._redis.xadd(self._key, entry)
        except (RedisError, OSError) as error:
            log.warning("stream_append_failed", events=entry[ENTRY_COUNT], reason=str(error))
        except Exception:
            # Anything else is a defect, but an end of this task would let every later request wait for ever.
            log.exception("stream_append_failed", events=entry[ENTRY_COUNT])
        else:
            return None
        return StreamAway("The event stream did not confirm the events; send them again.")


@asynccontextmanager
async def open_event_stream(redis_url: str, database: str) -> AsyncIterator[EventStream]:
    """An `EventStream` that writes while the context is open; leaving the context first writes what waits.

    An append whose answer is lost is sent again, so an event can be in the stream twice, with one id.
    """
    redis = Redis.from_url(
        redis_url,
        socket_connect_timeout=1,
        socket_timeout=5,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), _RETRIES),
    )
    stream = EventStream(redis, stream_keys(database).events)
    writer = asyncio.create_task(stream.write(), name="event-stream-writer")
    try:
        yield stream
    finally:
        stream.close()
        await writer
        await redis.aclose()


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far behind the stream is."""

    length: int
    """Entries that are not in the warehouse yet."""
    pending: int
    """Those of them that a flusher has taken."""
    oldest_seconds: float
    """Age of the oldest of them, 0 when there is none."""
    flusher_alive: bool
    dead_letters: int
    """Rows that the warehouse refused for their data."""


async def stream_state(redis: Redis, database: str) -> StreamState:
    """Look at the stream; raises `redis.exceptions.RedisError` when Valkey is away."""
    keys = stream_keys(database)
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.xlen(keys.events)
        pipeline.xrange(keys.events, count=1)
        pipeline.time()
        pipeline.xlen(keys.dead_letters)
        length, oldest, (seconds, microseconds), dead_letters = await pipeline.execute()
    pending, alive = 0, False
    with suppress(ResponseError):  # the first flusher makes the group
        pending = int((await redis.xpending(keys.events, GROUP))["pending"])
        for consumer in await redis.xinfo_consumers(keys.events, GROUP):
            alive = alive or bool(await redis.exists(keys.flusher_prefix + _text(consumer["name"])))
    return StreamState(
        length=length,
        pending=pending,
        oldest_seconds=max(0.0, seconds + microseconds / 1e6 - entry_time(oldest[0][0])) if oldest else 0.0,
        flusher_alive=alive,
        dead_letters=dead_letters,
    )


def entry_time(entry_id: bytes | str) -> float:
    """When Valkey made an entry, in seconds since 1970, from its id."""
    return int(_text(entry_id).partition("-")[0]) / 1000


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
