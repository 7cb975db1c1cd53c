"""Carries rows from the stream to the raw tables, each once: `python -m ingest_api.events.flusher`.

Several may run at once. A batch is written when enough events wait or the oldest waits long enough; then everything
that waits goes along, because a part costs ClickHouse the same with one row or with thousands. Entries leave the stream
only after their rows are in the tables; SIGTERM writes what waits and ends with 0.

What holds when a flusher dies, or is taken for dead while it only sleeps: before it inserts, it writes down which
entries go under which token, in one step with the proof that they are all still its own. Whoever takes over its entries
stores them as they were divided, under the same tokens. So the sleeper that wakes up between that step and its insert
comes with a token that was used, and ClickHouse drops it; one that wakes up before the step has no entries any more.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

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
from ingest_api.events.batches import MAX_BYTES, MAX_ENTRIES, MAX_EVENTS, Batch, batch_of, in_batches
from ingest_api.events.consumer import StreamConsumer
from ingest_api.events.entries import Entry
from ingest_api.events.flusher_events import FlusherObserver, Unobserved
from ingest_api.events.flusher_metrics import serve
from ingest_api.events.raw_tables import RawTables
from ingest_api.events.storing import GivenUp, Storing
from ingest_api.events.stream import stream_keys
from ingest_api.log_format import configure_logging
from warehouse.config import WarehouseSettings

_FIRST_READ_ENTRIES = 16
_CLAIM_EVERY_SECONDS = 1.0
_NOTICE_STOP_SECONDS = 0.5
_LEAST_SECONDS_APART = 0.5
_DRAIN_SECONDS = 10.0

_Answer = TypeVar("_Answer")
log = structlog.get_logger(__name__)


class _Held:
    """Entries that were taken and not written yet."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.events = 0
        self.size_bytes = 0
        self.since = 0.0
        """When the first of them was taken, by the monotonic clock."""

    def add(self, entries: list[Entry]) -> None:
        if entries and not self.entries:
            self.since = time.monotonic()
        self.entries += entries
        self.events += sum(entry.count for entry in entries)
        self.size_bytes += sum(entry.size_bytes() for entry in entries)

    def is_full(self) -> bool:
        return self.events >= MAX_EVENTS or self.size_bytes >= MAX_BYTES or len(self.entries) >= MAX_ENTRIES

    def pop_batch(self) -> list[Entry]:
        batch = next(in_batches(self.entries), [])
        self.entries = self.entries[len(batch) :]
        self.events -= sum(entry.count for entry in batch)
        self.size_bytes -= sum(entry.size_bytes() for entry in batch)
        return batch


class Flusher:
    """One flusher. `run` returns after `stop`."""

    def __init__(
        self,
        consumer: StreamConsumer,
        tables: RawTables,
        batch_size: int,
        flush_interval_seconds: float,
        observer: FlusherObserver,
    ) -> None:
        self._stopping = threading.Event()
        self._consumer = consumer
        self._storing = Storing(tables, self._bury, self._stopping, observer)
        self._batch_size = batch_size
        self._flush_interval_seconds = flush_interval_seconds
        self._observer = observer
        self._held = _Held()
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
                log.warning("flusher_stopped_early", entries=len(self._held.entries), reason=repr(error))
            log.info("flusher_stopped", consumer=self._consumer.name)

    def _step(self) -> None:
        self._recover()
        wait = _NOTICE_STOP_SECONDS
        if self._held.entries:
            wait = min(wait, self._held.since + self._flush_interval_seconds - time.monotonic())
        if wait > 0 and self._held.events < self._batch_size:
            self._take(wait)
            return
        self._fill()
        is_more = self._held.is_full()
        started = time.monotonic()
        self._write(self._held.pop_batch(), is_doubtful=False)
        if not is_more:
            # A small batch costs ClickHouse as much as a large one: with a pause the next one gathers more.
            pause = min(_LEAST_SECONDS_APART, self._flush_interval_seconds)
            self._stopping.wait(started + pause - time.monotonic())

    def _drain(self) -> None:
        """Write what is in the stream now; bounded, for the API may go on appending."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < deadline:
            self._fill()
            if not self._held.entries:
                return
            self._write(self._held.pop_batch(), is_doubtful=False)

    def _fill(self) -> None:
        """Take what waits, as much as one insert should carry."""
        while not self._held.is_full() and self._take(0):
            pass

    def _take(self, wait_seconds: float) -> bool:
        # Reading no more entries than are held keeps what is held below twice of what is wanted, also of large ones.
        entries = self._consumer.read(max(_FIRST_READ_ENTRIES, len(self._held.entries)), wait_seconds)
        self._held.add(entries)
        return bool(entries)

    def _recover(self) -> None:
        """Store what dead flushers took, and what was sent here in an answer that got lost."""
        if time.monotonic() - self._claimed_at > _CLAIM_EVERY_SECONDS:
            self._claimed_at = time.monotonic()
            if claimed := self._consumer.claim_abandoned():
                self._observer.claimed(claimed)
        if not self._consumer.may_have_unseen:
            return
        held = {entry.entry_id for entry in self._held.entries}
        pending = [entry_id for entry_id in self._consumer.pending_ids() if entry_id not in held]
        left = set(pending)
        for intent in self._consumer.intents():
            ids = [entry_id.encode() for entry_id in intent.entry_ids]
            # A flusher loses all of a batch or nothing, so what is not all here is another's.
            if left.issuperset(ids):
                left.difference_update(ids)
                self._store(batch_of(list(self._consumer.fetch(ids)), token=intent.token, is_doubtful=True))
        unwritten = [entry_id for entry_id in pending if entry_id in left]
        for entries in in_batches(self._consumer.fetch(unwritten)):
            self._write(entries, is_doubtful=True)
            left.difference_update(entry.entry_id for entry in entries)
        for entry_id in left:  # deleted by hand
            self._consumer.acknowledge("", [entry_id])
        self._consumer.may_have_unseen = False

    def _write(self, entries: list[Entry], *, is_doubtful: bool) -> None:
        """Store entries, without those that are another's meanwhile."""
        while entries:
            batch = batch_of(entries, is_doubtful=is_doubtful)
            lost = self._insistently(partial(self._consumer.fence, batch.token, batch.entry_ids))
            if not lost:
                self._store(batch)
                return
            log.warning("entries_lost_to_another_flusher", entries=len(lost))
            entries = [entry for entry in entries if entry.entry_id not in lost]

    def _store(self, batch: Batch) -> None:
        started = time.monotonic()
        for stranger in batch.strangers:
            self._bury(stranger.fields, "not an entry of this service")
        self._storing.store(batch)
        self._insistently(lambda: self._consumer.acknowledge(batch.token, batch.entry_ids))
        seconds = time.monotonic() - started
        self._observer.flushed(
            batch.events, len(batch.entry_ids), seconds, max(0.0, time.time() - batch.written_since.timestamp())
        )
        log.info("events_flushed", events=batch.events, entries=len(batch.entry_ids), seconds=round(seconds, 3))

    def _bury(self, fields: Mapping[bytes, bytes], reason: str) -> None:
        self._insistently(lambda: self._consumer.bury(fields, reason))

    def _insistently(self, action: Callable[[], _Answer]) -> _Answer:
        """Do what needs Valkey, again and again while it is away; the last error when stopping."""
        retrying = Retrying(
            retry=retry_if_exception_type((RedisError, OSError)),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            sleep=sleep_using_event(self._stopping),
            stop=stop_when_event_set(self._stopping),
            before_sleep=_log_valkey_away,
            reraise=True,
        )
        return retrying(action)


def open_flusher(
    settings: StreamSettings, warehouse_settings: WarehouseSettings, observer: FlusherObserver | None = None
) -> Flusher:
    """A flusher of the environment that the settings name; it connects when it runs."""
    # A repeated XREADGROUP would skip the entries of the answer that got lost, so the client must not repeat by itself.
    redis = Redis.from_url(settings.redis_url, socket_connect_timeout=2, socket_timeout=10, retry=Retry(NoBackoff(), 0))
    return Flusher(
        StreamConsumer(redis, stream_keys(warehouse_settings.clickhouse_database)),
        RawTables(warehouse_settings),
        settings.analytics_batch_size,
        settings.flush_interval_seconds,
        observer or Unobserved(),
    )


def main() -> None:
    """Run one flusher until SIGTERM or SIGINT; a wrong setting is one sentence and exit code 2."""
    try:
        settings, warehouse_settings = StreamSettings(), WarehouseSettings()
    except ValidationError as error:
        sys.stderr.write(f"flusher: {settings_sentence(error)}\n")
        sys.exit(2)
    configure_logging(settings.log_level)
    flusher = open_flusher(settings, warehouse_settings, serve(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: flusher.stop())
    flusher.run()


def _log_valkey_away(state: RetryCallState) -> None:
    log.warning(
        "valkey_unavailable", attempt=state.attempt_number, reason=repr(state.outcome and state.outcome.exception())
    )


if __name__ == "__main__":
    main()
