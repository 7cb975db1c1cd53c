"""What a flusher tells Prometheus, as numbers and over its port."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from ingest_api.config import StreamSettings
from ingest_api.events.flusher_events import Unobserved
from ingest_api.events.flusher_metrics import FlusherMetrics, serve
from local_stack.processes import free_port
from tests.conftest import Valkey
from tests.ingest_api.events.events_given import append, ids_of, stored_ids
from tests.ingest_api.serving import seconds_until
from warehouse.client import Client
from warehouse.config import WarehouseSettings


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"analytics_flusher_{name}", labels)


def test_each_event_of_a_flusher_becomes_a_number() -> None:
    metrics = FlusherMetrics()

    metrics.inserted("events", rows=900, seconds=0.2)
    metrics.inserted("events", rows=100, seconds=0.4)
    metrics.inserted("rejected_events", rows=3, seconds=0.1)
    metrics.flushed(events=1000, entries=7, seconds=0.7, oldest_seconds=1.5)
    metrics.postponed("events")
    metrics.repaired("events", rows=12)
    metrics.refused("events")
    metrics.claimed(entries=4)

    found = metrics.registry
    assert value(found, "rows_inserted_total", table="events") == 1000
    assert value(found, "rows_inserted_total", table="rejected_events") == 3
    assert value(found, "insert_duration_seconds_count", table="events") == 2
    assert value(found, "insert_duration_seconds_sum", table="events") == pytest.approx(0.6)
    assert value(found, "batch_events_sum") == 1000
    assert value(found, "flush_duration_seconds_count") == 1
    assert value(found, "append_to_visible_seconds_bucket", le="1.0") == 0
    assert value(found, "append_to_visible_seconds_bucket", le="2.0") == 1
    assert value(found, "inserts_postponed_total", table="events") == 1
    assert value(found, "rows_repaired_total", table="events") == 12
    assert value(found, "rows_refused_total", table="events") == 1
    assert value(found, "entries_claimed_total") == 4


def test_age_of_the_last_flush_begins_with_the_flusher() -> None:
    before = time.time()

    metrics = FlusherMetrics()

    assert before <= (value(metrics.registry, "last_flush_timestamp_seconds") or 0) <= time.time()


def test_nothing_is_counted_when_nothing_is_served() -> None:
    observer = serve(StreamSettings(analytics_flusher_metrics_port=0))

    assert isinstance(observer, Unobserved)


def test_flusher_goes_on_without_metrics_when_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        observer = serve(StreamSettings(analytics_flusher_metrics_port=taken.getsockname()[1]))

        observer.claimed(entries=1)

    assert isinstance(observer, FlusherMetrics)
    assert value(observer.registry, "entries_claimed_total") == 1


@pytest.fixture
def metrics_url(valkey: Valkey, warehouse_settings: WarehouseSettings, project_root: Path) -> Iterator[str]:
    """Address of the metrics of a flusher that runs as a process."""
    port = free_port()
    settings = {
        "HOST": "127.0.0.1",
        "REDIS_URL": valkey.url,
        "ANALYTICS_FLUSH_INTERVAL": "100",
        "ANALYTICS_FLUSHER_METRICS_PORT": str(port),
        "CLICKHOUSE_HOST": warehouse_settings.clickhouse_host,
        "CLICKHOUSE_USERNAME": warehouse_settings.clickhouse_username,
        "CLICKHOUSE_PASSWORD": warehouse_settings.clickhouse_password.get_secret_value(),
        "CLICKHOUSE_DATABASE": warehouse_settings.clickhouse_database,
    }
    flusher = subprocess.Popen(
        [sys.executable, "-m", "ingest_api.events.flusher"], env=os.environ | settings, cwd=project_root
    )
    yield f"http://127.0.0.1:{port}/metrics"
    flusher.terminate()
    assert flusher.wait(timeout=30) == 0


def scraped(url: str) -> str:
    try:
        return httpx.get(url, trust_env=False).text
    except httpx.TransportError:
        return ""


def test_running_flusher_serves_what_it_has_done(
    metrics_url: str, valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, [ids_of(5)])

    seconds_until(lambda: 'analytics_flusher_rows_inserted_total{table="events"} 5.0' in scraped(metrics_url))

    metrics = scraped(metrics_url)
    assert stored_ids(warehouse, warehouse_settings) == ids_of(5)
    assert "analytics_flusher_append_to_visible_seconds_count 1.0" in metrics
    assert "process_resident_memory_bytes" in metrics
