"""Flushers in a thread or in a process of their own, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis

from ingest_api.config import StreamSettings
from ingest_api.events.flusher import Flusher, open_flusher
from ingest_api.events.flusher_events import FlusherObserver
from ingest_api.events.stream import GROUP, stream_keys
from warehouse.config import WarehouseSettings

HOUR_MS = 3_600_000


def flusher_given(
    redis_url: str,
    settings: WarehouseSettings,
    batch_size: int = 1000,
    flush_interval_ms: int = 100,
    observer: FlusherObserver | None = None,
) -> Flusher:
    stream_settings = StreamSettings(
        redis_url=redis_url, analytics_batch_size=batch_size, analytics_flush_interval=flush_interval_ms
    )
    return open_flusher(stream_settings, settings, observer)


def eventually(condition: Callable[[], bool], patience_seconds: float = 30) -> None:
    deadline = time.monotonic() + patience_seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@contextmanager
def flusher_process(
    redis_url: str, settings: WarehouseSettings, flush_interval_ms: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A flusher that may be stopped, continued and killed; it is killed when the block is left."""
    environment = {
        **os.environ,
        "REDIS_URL": redis_url,
        "ANALYTICS_FLUSH_INTERVAL": str(flush_interval_ms),
        "CLICKHOUSE_HOST": settings.clickhouse_host,
        "CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
        "CLICKHOUSE_DATABASE": settings.clickhouse_database,
    }
    process = subprocess.Popen([sys.executable, "-m", "ingest_api.events.flusher"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def holding_process(redis_url: str, settings: WarehouseSettings) -> Iterator[subprocess.Popen[bytes]]:
    """A flusher process that has taken all that is in the stream and waits for more."""
    key = stream_keys(settings.clickhouse_database).events
    with flusher_process(redis_url, settings, HOUR_MS) as process:
        with Redis.from_url(redis_url) as redis:
            eventually(lambda: bool(redis.xinfo_groups(key)))
            eventually(lambda: 0 < redis.xpending(key, GROUP)["pending"] == redis.xlen(key))
        yield process
