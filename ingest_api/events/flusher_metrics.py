"""What one flusher does, for Prometheus: `GET /metrics` on a port of the flusher's own."""

import time

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from ingest_api.config import StreamSettings
from ingest_api.events.flusher_events import FlusherObserver, Unobserved

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Up to an hour: what waited for ClickHouse to come back counts, too.
_WAITING_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_EVENTS = (1, 10, 50, 100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)

log = structlog.get_logger(__name__)


class FlusherMetrics:
    """A `FlusherObserver` that counts. Its registry is its own, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._rows = self._counter("rows_inserted", "Rows stored in ClickHouse", "table")
        self._postponed = self._counter("inserts_postponed", "Inserts that failed and were to be tried again", "table")
        self._repaired = self._counter("rows_repaired", "Rows stored after an insert of unknown outcome", "table")
        self._refused = self._counter("rows_refused", "Rows that ClickHouse refused for their data", "table")
        self._claimed = self._counter("entries_claimed", "Entries of the stream taken over from dead flushers")
        self._insert_seconds = self._histogram("insert_duration_seconds", "One insert", _SECONDS, "table")
        self._batch_events = self._histogram("batch_events", "Events that left the stream together", _EVENTS)
        self._flush_seconds = self._histogram("flush_duration_seconds", "One batch, until acknowledged", _SECONDS)
        self._visible_seconds = self._histogram(
            "append_to_visible_seconds", "From append to visible, for the oldest entry of each batch", _WAITING_SECONDS
        )
        self._flushed_at = Gauge(
            "analytics_flusher_last_flush_timestamp_seconds",
            "When a batch last left the stream, or the flusher began, in seconds since 1970",
            registry=self.registry,
        )
        self._flushed_at.set(time.time())

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        """Count the rows of one insert."""
        self._rows.labels(table).inc(rows)
        self._insert_seconds.labels(table).observe(seconds)

    def flushed(self, events: int, entries: int, seconds: float, oldest_seconds: float) -> None:
        """Count one batch."""
        self._batch_events.observe(events)
        self._flush_seconds.observe(seconds)
        self._visible_seconds.observe(oldest_seconds)
        self._flushed_at.set(time.time())

    def postponed(self, table: str) -> None:
        """Count one attempt that failed."""
        self._postponed.labels(table).inc()

    def repaired(self, table: str, rows: int) -> None:
        """Count rows."""
        self._repaired.labels(table).inc(rows)

    def refused(self, table: str) -> None:
        """Count one row."""
        self._refused.labels(table).inc()

    def claimed(self, entries: int) -> None:
        """Count entries."""
        self._claimed.inc(entries)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"analytics_flusher_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"analytics_flusher_{name}", meaning, labels, buckets=buckets, registry=self.registry)


def serve(settings: StreamSettings) -> FlusherObserver:
    """Serve metrics on `HOST` and `ANALYTICS_FLUSHER_METRICS_PORT` until the process ends, and return what feeds them.

    With port 0 nothing is served. A port that is taken is logged: events matter more than their counts.
    """
    port = settings.analytics_flusher_metrics_port
    if port == 0:
        return Unobserved()
    metrics = FlusherMetrics()
    try:
        start_http_server(port, settings.host, metrics.registry)
    except OSError as error:
        log.error("flusher_metrics_not_served", host=settings.host, port=port, reason=str(error))
    else:
        log.info("flusher_metrics_served", host=settings.host, port=port)
    return metrics
