"""Carries events from the stream to `raw.events`: `python -m ingest_api.events.flusher`.

Several may run at once. A batch is written when enough events wait or the oldest waits long enough; then everything
that waits goes along, because a part costs ClickHouse the same with one row or with thousands. Entries leave the stream
only after their rows are in the table; SIGTERM writes what waits and ends with 0.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable

import structlog
from pydantic import ValidationError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from ingest_api.config import StreamSettings, settings_sentence
from ingest_api.events.consumer import Entry, StreamConsumer
from ingest_api.events.storing import EventTable, GivenUp, Storing, utc
from ingest_api.events.stream import stream_keys
from ingest_api.log_format import configure_logging
from warehouse.config import WarehouseSettings

_MAX_ROWS = 20_000
_MAX_BYTES = 32 * 1024 * 1024
_READ_ENTRIES = 16
_CLAIM_EVERY_SECONDS = 1.0
_NOTICE_STOP_SECONDS = 0.5
_DRAIN_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Flusher:
    """One flusher. `run` returns after `stop`."""

    def __init__(
        self, consumer: StreamConsumer, table: EventTable, batch_size: int, flush_interval_seconds: float
    ) -> None:
        self._stopping = threading.Event()
        self._consumer = consumer
        self._storing = Storing(table, lambda line, reason: self._bury({b"line": line}, reason), self._stopping)
        self._batch_size = batch_size
        self._flush_interval_seconds = flush_interval_seconds
        self._held: list[Entry] = []
        self._held_since = 0.0
        self._claimed_at = -_CLAIM_EVERY_SECONDS

    def stop(self) -> None:
        """Ask for the end, from a signal handler or another thread."""
        self._stopping.set()

    def run(self) -> None:
        """Flush until stopped, through outages of Valkey and ClickHouse; then write what is left in the stream."""
        with self._consumer.alive():
            log.info("flusher_started", consumer=self._consumer.name)
            try:
                self._insistently(self._consumer.join)
                while not self._stopping.is_set():
                    self._insistently(self._step)
                self._drain()
            except (GivenUp, RedisError, OSError) as error:
                # What was not acknowledged stays in the stream for the next flusher.
                log.warning("flusher_stopped_early", entries=len(self._held), reason=repr(error))
            log.info("flusher_stopped", consumer=self._consumer.name)

    def _step(self) -> None:
        if not self._held:
            self._recover()
        wait = _NOTICE_STOP_SECONDS
        if self._held:
            wait = min(wait, self._held_since + self._flush_interval_seconds - time.monotonic())
        if wait > 0 and self._rows() < self._batch_size:
            self._take(wait)
            return
        self._fill()
        self._flush(is_doubtful=False)

    def _drain(self) -> None:
        """Write what is in the stream now; bounded, for the API may go on appending."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while True:
            is_more = self._fill()
            self._flush(is_doubtful=False)
            if not is_more or time.monotonic() > deadline:
                return

    def _fill(self) -> bool:
        """Take what waits, as much as one insert should carry; False when there was less."""
        while self._rows() < _MAX_ROWS and self._bytes() < _MAX_BYTES:
            if not self._take(0):
                return False
        return True

    def _recover(self) -> None:
        """Store what a dead flusher took, and what was sent here in an answer that got lost."""
        self._held = self._consumer.read_unseen(_READ_ENTRIES)
        if not self._held and time.monotonic() - self._claimed_at > _CLAIM_EVERY_SECONDS:
            self._held = self._consumer.claim_abandoned()
            if not self._held:
                self._claimed_at = time.monotonic()
        self._flush(is_doubtful=True)

    def _take(self, wait_seconds: float) -> bool:
        entries = self._consumer.read(_READ_ENTRIES, wait_seconds)
        if entries and not self._held:
            self._held_since = time.monotonic()
        self._held.extend(entries)
        return bool(entries)

    def _flush(self, *, is_doubtful: bool) -> None:
        if not self._held:
            return
        started = time.monotonic()
        doubtful = is_doubtful or self._consumer.may_have_been_replaced()
        lines: list[bytes] = []
        for entry in self._held:
            if entry.lines:
                lines += entry.lines.splitlines(keepends=True)
            else:
                self._bury(entry.fields, "not an entry of events")
        self._storing.store(lines, utc(min(entry.written_at for entry in self._held)), doubtful)
        self._insistently(lambda: self._consumer.acknowledge(self._held))
        seconds = round(time.monotonic() - started, 3)
        log.info("events_flushed", events=len(lines), entries=len(self._held), seconds=seconds)
        self._held = []

    def _bury(self, fields: dict[bytes, bytes], reason: str) -> None:
        self._insistently(lambda: self._consumer.bury(fields, reason))

    def _insistently(self, action: Callable[[], None]) -> None:
        """Do what needs Valkey, again and again while it is away; the last error when stopping."""
        retrying = Retrying(
            retry=retry_if_exception_type((RedisError, OSError)),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            sleep=sleep_using_event(self._stopping),
            stop=stop_when_event_set(self._stopping),
            before_sleep=_log_valkey_away,
            reraise=True,
        )
        retrying(action)

    def _rows(self) -> int:
        return sum(entry.count for entry in self._held)

    def _bytes(self) -> int:
        return sum(len(entry.lines) for entry in self._held)


def open_flusher(settings: StreamSettings, warehouse_settings: WarehouseSettings) -> Flusher:
    """A flusher of the environment that the settings name; it connects when it runs."""
    # A repeated XREADGROUP would skip the entries of the answer that got lost, so the client must not repeat by itself.
    redis = Redis.from_url(settings.redis_url, socket_connect_timeout=2, socket_timeout=10, retry=Retry(NoBackoff(), 0))
    consumer = StreamConsumer(redis, stream_keys(warehouse_settings.clickhouse_database))
    return Flusher(
        consumer, EventTable(warehouse_settings), settings.analytics_batch_size, settings.flush_interval_seconds
    )


def main() -> None:
    """Run one flusher until SIGTERM or SIGINT; a wrong setting is one sentence and exit code 2."""
    try:
        settings, warehouse_settings = StreamSettings(), WarehouseSettings()
    except ValidationError as error:
        sys.stderr.write(f"flusher: {settings_sentence(error)}\n")
        sys.exit(2)
    configure_logging(settings.log_level)
    flusher = open_flusher(settings, warehouse_settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: flusher.stop())
    flusher.run()


def _log_valkey_away(state: RetryCallState) -> None:
    log.warning(
        "valkey_unavailable", attempt=state.attempt_number, reason=repr(state.outcome and state.outcome.exception())
    )


if __name__ == "__main__":
    main()
