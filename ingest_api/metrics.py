"""What the API counts about the events it takes, and how Prometheus reads it.

The counts are plain numbers, because the route that takes one event has a microsecond to spare for them; they become
metrics when somebody asks.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ingest_api.events.stream import StreamState

MOST_SOURCES = 100
"""Sources with series of their own; those that come later share the source `other`."""
OTHER = "other"
OPENMETRICS = "application/openmetrics-text"
PLAIN = "text/plain"

_REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_APPEND_SECONDS = _REQUEST_SECONDS
_APPEND_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class Distribution:
    """How often which size occurred: a histogram that costs a tenth of a microsecond an observation."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Put what was observed into a metric."""
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum)


class IngestMetrics:
    """The counts of one API process, all since it started. For one event loop: nothing here is locked."""

    def __init__(self) -> None:
        self._accepted: dict[str, int] = {}
        self._rejected: dict[tuple[str, str], int] = {}
        self._refused: dict[tuple[str, str], int] = {}
        self._requests: dict[str, Distribution] = {}
        self._append_events = Distribution(_APPEND_EVENTS)
        self._append_seconds = Distribution(_APPEND_SECONDS)
        self._sources: set[str] = set()

    def accepted(self, source: str, events: int) -> None:
        """Events of one request are on disk."""
        source = source if source in self._sources else self._named(source)
        self._accepted[source] = self._accepted.get(source, 0) + events

    def rejected(self, source: str, code: str, events: int = 1) -> None:
        """Events were set aside; `code` is one of `payload.REJECTION_CODES`."""
        key = (source if source in self._sources else self._named(source), code)
        self._rejected[key] = self._rejected.get(key, 0) + events

    def refused(self, route: str, code: str) -> None:
        """A request of a route was answered with a problem of this code."""
        self._refused[route, code] = self._refused.get((route, code), 0) + 1

    def served(self, route: str, seconds: float) -> None:
        """A request of a route was answered, however."""
        requests = self._requests.get(route)
        if requests is None:
            requests = self._requests[route] = Distribution(_REQUEST_SECONDS)
        requests.observe(seconds)

    def appended(self, events: int, seconds: float) -> None:
        """The stream confirmed an entry of so many events after so long."""
        self._append_events.observe(events)
        self._append_seconds.observe(seconds)

    def families(self) -> Iterator[Metric]:
        """The counts as metrics."""
        accepted = CounterMetricFamily("analytics_events_accepted", "Events on disk", labels=["source"])
        for source, count in self._accepted.items():
            accepted.add_metric([source], count)
        yield accepted
        rejected = CounterMetricFamily(
            "analytics_events_rejected", "Events set aside as invalid", labels=["source", "code"]
        )
        for labels, count in self._rejected.items():
            rejected.add_metric(labels, count)
        yield rejected
        refused = CounterMetricFamily(
            "analytics_requests_refused",
            "Requests that track, evaluate or assign, answered with a problem",
            labels=["route", "code"],
        )
        for labels, count in self._refused.items():
            refused.add_metric(labels, count)
        yield refused
        requests = HistogramMetricFamily(
            "analytics_request_duration_seconds", "From a request's headers to its answer", labels=["route"]
        )
        for route, durations in self._requests.items():
            durations.add_to(requests, [route])
        yield requests
        append_seconds = HistogramMetricFamily(
            "analytics_append_duration_seconds", "One append to the stream, until Valkey has it on disk", labels=[]
        )
        self._append_seconds.add_to(append_seconds)
        yield append_seconds
        append_events = HistogramMetricFamily(
            "analytics_append_events", "Events that one append carries: the size of the group commit", labels=[]
        )
        self._append_events.add_to(append_events)
        yield append_events

    def _named(self, source: str) -> str:
        if len(self._sources) >= MOST_SOURCES:
            return OTHER
        self._sources.add(source)
        return source


def stream_families(stream: StreamState | None, max_bytes: int) -> Iterator[Metric]:
    """How far behind and how full the stream is; without an answer of Valkey nothing but that it is away."""
    yield GaugeMetricFamily(
        "analytics_valkey_up", "Whether Valkey answers (1) or not (0)", value=int(stream is not None)
    )
    if stream is None:
        return
    gauges: Iterable[tuple[str, str, float]] = (
        ("analytics_stream_entries", "Groups of events that are not in ClickHouse yet", stream.length),
        ("analytics_stream_pending_entries", "Those of them that a flusher has taken", stream.pending),
        ("analytics_stream_oldest_entry_age_seconds", "Age of the oldest of them, 0 when none", stream.oldest_seconds),
        ("analytics_dead_letters", "Rows that ClickHouse refused for their data, kept in Valkey", stream.dead_letters),
        ("analytics_flushers_alive", "Flushers that gave a sign of life lately", stream.flushers_alive),
        ("analytics_stream_used_bytes", "Memory that Valkey uses", stream.used_bytes),
        ("analytics_stream_max_bytes", "Memory from which on events are refused", max_bytes),
    )
    for name, meaning, value in gauges:
        yield GaugeMetricFamily(name, meaning, value=value)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(metrics: IngestMetrics, gauges: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Counts and gauges in the format that an `Accept` header asks for, and its media type."""
    # A registry of one answer: several APIs can live in one process, and two scrapes at once do not meet.
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Families((*metrics.families(), *gauges)))
    # Not the header itself: the encoder fails on a version that is no number, and repeats one that is in its answer.
    encode, media_type = choose_encoder(OPENMETRICS if OPENMETRICS in accept else "")
    return encode(registry), media_type
