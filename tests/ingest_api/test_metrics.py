"""What the API counts, as Prometheus reads it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from ingest_api.auth.roles import Role
from ingest_api.metrics import MOST_SOURCES, OPENMETRICS, IngestMetrics, exposition, stream_families
from local_stack.processes import Process, free_port, start_valkey
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import api_settings, bearer, nowhere, seconds_until, serving, token_for, write_key_for

ALL_PARTS = {
    "analytics_events_accepted",
    "analytics_events_rejected",
    "analytics_requests_refused",
    "analytics_request_duration_seconds",
    "analytics_append_duration_seconds",
    "analytics_append_events",
    "analytics_valkey_up",
    "analytics_stream_entries",
    "analytics_stream_pending_entries",
    "analytics_stream_oldest_entry_age_seconds",
    "analytics_dead_letters",
    "analytics_flushers_alive",
    "analytics_stream_used_bytes",
    "analytics_stream_max_bytes",
}


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, in the alphabetical order of the labels."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(metrics: IngestMetrics) -> dict[tuple[str, ...], float]:
    return samples(exposition(metrics, (), "")[0].decode())


def scrape(client: httpx.Client, token: str, accept: str = "") -> httpx.Response:
    return client.get("/metrics", headers={**bearer(token), "accept": accept})


def test_counts_are_kept_by_source_and_code() -> None:
    metrics = IngestMetrics()

    metrics.accepted("web", 100)
    metrics.accepted("web", 1)
    metrics.accepted("ios", 1)
    metrics.rejected("web", "field_missing", 2)
    metrics.rejected("web", "too_large")
    metrics.refused("/track", "stream_full")

    found = counted(metrics)
    assert found["analytics_events_accepted_total", "web"] == 101
    assert found["analytics_events_accepted_total", "ios"] == 1
    assert found["analytics_events_rejected_total", "field_missing", "web"] == 2
    assert found["analytics_events_rejected_total", "too_large", "web"] == 1
    assert found["analytics_requests_refused_total", "stream_full", "/track"] == 1


def test_sources_beyond_the_bound_share_one_series_and_are_counted() -> None:
    metrics = IngestMetrics()

    for number in range(2 * MOST_SOURCES):
        metrics.accepted(f"source-{number}", 1)
        metrics.rejected(f"source-{number}", "too_large")

    found = counted(metrics)
    accepted = {key: value for key, value in found.items() if key[0] == "analytics_events_accepted_total"}
    rejected = {key: value for key, value in found.items() if key[0] == "analytics_events_rejected_total"}
    assert len(accepted) == len(rejected) == MOST_SOURCES + 1
    assert accepted["analytics_events_accepted_total", "other"] == MOST_SOURCES
    assert sum(accepted.values()) == sum(rejected.values()) == 2 * MOST_SOURCES


def test_distribution_counts_a_bound_with_what_is_below_it() -> None:
    metrics = IngestMetrics()

    for events in (1, 100, 101, 50_000):
        metrics.appended(events, 0.001)

    found = counted(metrics)
    assert found["analytics_append_events_bucket", "1"] == 1
    assert found["analytics_append_events_bucket", "100"] == 2
    assert found["analytics_append_events_bucket", "200"] == 3
    assert found["analytics_append_events_bucket", "+Inf"] == found["analytics_append_events_count",] == 4
    assert found["analytics_append_events_sum",] == 50_202
    assert found["analytics_append_duration_seconds_bucket", "0.001"] == 4


@pytest.mark.parametrize(
    "accept", ["", "*/*", "text/plain;version=x", "application/json", "text/plain; version=1.0.0; escaping=allow-utf-8"]
)
def test_text_is_the_answer_to_whoever_does_not_ask_for_openmetrics(accept: str) -> None:
    body, media_type = exposition(IngestMetrics(), stream_families(None, 1), accept)

    assert media_type.startswith("text/plain; version=0.0.4")
    assert ("analytics_valkey_up",) in samples(body.decode())


def test_two_apis_in_one_process_count_apart() -> None:
    first, second = IngestMetrics(), IngestMetrics()

    first.accepted("web", 1)

    assert ("analytics_events_accepted_total", "web") in counted(first)
    assert ("analytics_events_accepted_total", "web") not in counted(second)


def test_scrape_with_a_viewers_token_shows_what_was_sent(api: Api) -> None:
    source = f"shop-{secrets.token_hex(3)}"
    key, _ = write_key_for(api.settings, api.environment, source)
    events = [{"eventName": "page_view", "userId": "u"}, {"eventName": "page_view"}]
    api.client.post("/api/analytics/track", headers=bearer(key), json=events[0])
    api.client.post("/api/analytics/track/batch", headers=bearer(key), json={"events": events})
    api.client.post("/api/analytics/track", headers=bearer(key), content=b"{")

    found = samples(scrape(api.client, token_for(api.settings, Role.VIEWER)).text)

    assert found["analytics_events_accepted_total", source] == 2
    assert found["analytics_events_rejected_total", "identity_missing", source] == 1
    assert found["analytics_requests_refused_total", "json_invalid", "/api/analytics/track"] >= 1
    assert found["analytics_request_duration_seconds_count", "/api/analytics/track"] >= 2
    assert found["analytics_request_duration_seconds_count", "/api/analytics/track/batch"] >= 1
    assert found["analytics_append_events_sum",] >= 2
    assert found["analytics_valkey_up",] == 1
    assert found["analytics_stream_entries",] >= 1
    assert found["analytics_flushers_alive",] == 0
    assert 0 < found["analytics_stream_used_bytes",] < found["analytics_stream_max_bytes",] == 1024**3
    assert found["process_resident_memory_bytes",] > 0


def test_every_metric_is_in_the_answer_in_both_formats(api: Api) -> None:
    token = token_for(api.settings, Role.VIEWER)

    plain, open_format = scrape(api.client, token), scrape(api.client, token, f"{OPENMETRICS};version=1.0.0")

    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert open_format.headers["content-type"].startswith(OPENMETRICS)
    assert plain.headers["cache-control"] == "no-store"
    names = {family.name for family in parser.text_string_to_metric_families(plain.text)}
    assert names >= ALL_PARTS
    assert {family.name for family in openmetrics.text_string_to_metric_families(open_format.text)} >= ALL_PARTS
    assert {name for name in names if name.startswith("analytics_")} == ALL_PARTS


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[tuple[str, Process]]:
    port = free_port()
    process = start_valkey(tmp_path, port)
    process.wait_healthy()
    yield f"redis://127.0.0.1:{port}", process
    process.stop()


def test_scrape_says_that_valkey_is_away_and_goes_on_counting(own_valkey: tuple[str, Process]) -> None:
    url, valkey = own_valkey
    settings, warehouse_settings = api_settings(url), nowhere()
    token = token_for(settings, Role.VIEWER)
    with serving(settings, warehouse_settings) as client:
        key, _ = write_key_for(settings, warehouse_settings.clickhouse_database)
        track = {"eventName": "page_view", "userId": "u"}
        client.post("/api/analytics/track", headers=bearer(key), json=track)

        valkey.stop()
        seconds_until(lambda: samples(scrape(client, token).text)["analytics_valkey_up",] == 0)
        found = samples(scrape(client, token).text)

    assert found["analytics_events_accepted_total", "web"] == 1
    assert not {name for name, *_ in found if name.startswith("analytics_stream")}
