import asyncio
import gzip
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from ingest_api.auth.roles import Role
from ingest_api.config import ApiSettings
from ingest_api.events.entries import EVENTS, REJECTED_EVENTS, unpack
from ingest_api.events.openapi import BATCH_EXAMPLE, TRACK_EXAMPLE
from ingest_api.events.stream import stream_keys
from local_stack.processes import free_port, start_valkey
from tests.conftest import Valkey
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import (
    api_settings,
    bearer,
    nowhere,
    seconds_until,
    serving,
    token_for,
    write_key_for,
)

_TRACK = "/api/analytics/track"
_BATCH = "/api/analytics/track/batch"


def _rows(redis: Redis, environment: str, table: str = EVENTS) -> list[dict[str, Any]]:
    """All rows of a table in the stream, as the flusher will write them."""
    entries = redis.xrange(stream_keys(environment).events)
    lines = [unpack(entry_id, fields).tables.get(table, b"") for entry_id, fields in entries]
    return [json.loads(line) for line in b"".join(lines).splitlines()]


def _row_of(redis: Redis, environment: str, event_id: str) -> dict[str, Any]:
    [row] = [row for row in _rows(redis, environment) if row["event_id"] == event_id]
    return row


def _rejected_row_of(redis: Redis, environment: str, rejection_id: str) -> dict[str, Any]:
    [row] = [row for row in _rows(redis, environment, REJECTED_EVENTS) if row["rejection_id"] == rejection_id]
    return row


def test_track_stores_the_documented_event_with_the_source_of_the_key(
    api: Api, redis: Redis, key: dict[str, str]
) -> None:
    answer = api.client.post(_TRACK, json=TRACK_EXAMPLE, headers=key)

    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/json")
    assert answer.json() == {"status": "accepted", "eventId": answer.json()["eventId"]}
    row = _row_of(redis, api.environment, answer.json()["eventId"])
    assert (row["event_name"], row["event_type"], row["user_id"], row["session_id"], row["source"]) == (
        "page_view",
        "page_view",
        "user123",
        "session456",
        "ios",
    )
    assert json.loads(row["properties"]) == {"page": "/home", "title": "Homepage"}
    assert row["occurred_at"] == row["received_at"]


def test_track_batch_stores_the_documented_events_in_order(api: Api, redis: Redis, key: dict[str, str]) -> None:
    answer = api.client.post(_BATCH, json=BATCH_EXAMPLE, headers=key)

    verdict = answer.json()
    ids = [one["eventId"] for one in verdict["events"]]
    assert answer.status_code == 202
    assert verdict == {
        "accepted": 2,
        "rejected": 0,
        "events": [{"status": "accepted", "eventId": event_id, "index": i} for i, event_id in enumerate(ids)],
    }
    assert [_row_of(redis, api.environment, event_id)["event_name"] for event_id in ids] == [
        "page_view",
        "button_click",
    ]


def test_track_batch_stores_the_good_events_and_names_the_bad(api: Api, redis: Redis, key: dict[str, str]) -> None:
    good = {"eventName": "a", "userId": "u", "eventId": secrets.token_hex(8)}

    answer = api.client.post(_BATCH, json={"events": [{"eventName": "", "userId": "u"}, good, 3]}, headers=key)

    verdict = answer.json()
    assert (answer.status_code, verdict["accepted"], verdict["rejected"]) == (202, 1, 2)
    rejection_id = verdict["events"][0]["rejectionId"]
    assert verdict["events"][0] == {
        "status": "rejected",
        "index": 0,
        "code": "field_missing",
        "field": "eventName",
        "message": "eventName is required.",
        "rejectionId": rejection_id,
    }
    assert verdict["events"][1] == {"status": "accepted", "eventId": good["eventId"], "index": 1}
    assert verdict["events"][2]["code"] == "not_an_object"
    assert _row_of(redis, api.environment, good["eventId"])["event_name"] == "a"
    assert json.loads(_rejected_row_of(redis, api.environment, rejection_id)["payload"]) == {
        "eventName": "",
        "userId": "u",
    }
    assert _rejected_row_of(redis, api.environment, verdict["events"][2]["rejectionId"])["payload"] == "3"


def test_track_batch_keeps_good_and_bad_events_in_one_entry(api: Api, redis: Redis, key: dict[str, str]) -> None:
    body = {"events": [{"eventName": "a", "userId": "u"}, {"eventName": "a"}]}

    verdict = api.client.post(_BATCH, json=body, headers=key).json()

    [(entry_id, fields)] = redis.xrevrange(stream_keys(api.environment).events, count=1)
    entry = unpack(entry_id, fields)
    assert entry.count == 1
    assert json.loads(entry.tables[EVENTS])["event_id"] == verdict["events"][0]["eventId"]
    assert json.loads(entry.tables[REJECTED_EVENTS])["rejection_id"] == verdict["events"][1]["rejectionId"]


def test_track_warns_of_fields_that_it_does_not_know(api: Api, redis: Redis, key: dict[str, str]) -> None:
    answer = api.client.post(_TRACK, json={"eventName": "a", "userId": "u", "pageUrl": "/x"}, headers=key)

    [warning] = answer.json()["warnings"]
    assert (warning["code"], warning["field"]) == ("unknown_field", "pageUrl")
    row = _row_of(redis, api.environment, answer.json()["eventId"])
    assert json.loads(row["context"]) == {"unknownFields": {"pageUrl": "/x"}}


def test_track_refuses_an_invalid_event_by_field(api: Api, key: dict[str, str]) -> None:
    answer = api.client.post(_TRACK, json={"eventName": "a", "userId": 5}, headers=key)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == "wrong_type"
    rejection_id = answer.json()["errors"][0]["rejectionId"]
    assert answer.json()["errors"] == [
        {
            "field": "userId",
            "message": "userId must be a string.",
            "code": "wrong_type",
            "rejectionId": rejection_id,
        }
    ]


def test_track_keeps_an_invalid_event_with_its_id_but_without_its_secrets(
    api: Api, redis: Redis, key: dict[str, str]
) -> None:
    event = {"eventName": "a", "eventId": "mine", "context": {"ip": "203.0.113.7", "url": "/?token=x"}}

    answer = api.client.post(_TRACK, json=event, headers=key)

    row = _rejected_row_of(redis, api.environment, answer.json()["errors"][0]["rejectionId"])
    assert json.loads(row.pop("payload")) == event | {"context": {"ip": "203.0.113.0", "url": "/?token=REDACTED"}}
    assert row.pop("received_at")
    assert row == {
        "rejection_id": row["rejection_id"],
        "event_id": "mine",
        "event_name": "a",
        "code": "identity_missing",
        "field": "userId",
        "message": "userId or anonymousId is required.",
        "is_complete": True,
        "rejected_by": "api",
        "source": "ios",
    }


def test_track_batch_refuses_a_batch_without_a_valid_event_and_keeps_it(
    api: Api, redis: Redis, key: dict[str, str]
) -> None:
    answer = api.client.post(_BATCH, json={"events": [{"userId": "u"}, 3]}, headers=key)

    assert answer.status_code == 400
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [
        ("events[0].eventName", "field_missing"),
        ("events[1]", "not_an_object"),
    ]
    kept = [_rejected_row_of(redis, api.environment, one["rejectionId"]) for one in answer.json()["errors"]]
    assert [row["payload"] for row in kept] == ['{"userId":"u"}', "3"]


def test_track_reads_compressed_bodies(api: Api, key: dict[str, str]) -> None:
    body = gzip.compress(json.dumps(TRACK_EXAMPLE).encode())

    answer = api.client.post(_TRACK, content=body, headers=key | {"content-encoding": "gzip"})

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b"{"}, 400, "json_invalid"),
        ({"content": b"\xff"}, 400, "encoding_invalid"),
        ({"content": b"[]"}, 400, "events_missing"),
        ({"content": b" " * (10 * 1024 * 1024 + 1)}, 413, "body_too_large"),
        ({"content": b"{}", "headers": {"content-type": "multipart/form-data"}}, 415, "media_type_unsupported"),
        ({"content": b"{}", "headers": {"content-encoding": "br"}}, 415, "media_type_unsupported"),
        ({"content": b"{}", "headers": {"content-encoding": "gzip"}}, 400, "compression_invalid"),
    ],
)
def test_track_batch_says_what_is_wrong_with_a_body(
    api: Api, key: dict[str, str], request_: dict[str, Any], status: int, code: str
) -> None:
    answer = api.client.post(_BATCH, content=request_["content"], headers=key | request_.get("headers", {}))

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("path", [_TRACK, _BATCH])
def test_track_takes_only_post(api: Api, key: dict[str, str], path: str) -> None:
    answer = api.client.get(path, headers=key)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize("path", [_TRACK, _BATCH])
def test_track_needs_a_credential(api: Api, path: str) -> None:
    nobody = api.client.post(path, json=TRACK_EXAMPLE)
    wrong = api.client.post(path, json=TRACK_EXAMPLE, headers={"x-write-key": "wk_wrong"})

    assert (nobody.status_code, wrong.status_code) == (401, 401)
    assert "www-authenticate" in nobody.headers


def test_track_needs_the_permission_to_write_events(api: Api, redis: Redis) -> None:
    viewer = api.client.post(_TRACK, json=TRACK_EXAMPLE, headers=bearer(token_for(api.settings, Role.VIEWER)))
    editor = api.client.post(_TRACK, json=TRACK_EXAMPLE, headers=bearer(token_for(api.settings, Role.EDITOR)))

    assert (viewer.status_code, editor.status_code) == (403, 202)
    assert _row_of(redis, api.environment, editor.json()["eventId"])["source"] == "api"


@pytest.mark.parametrize("path", [f"{_TRACK}/", f"{_BATCH}/"])
def test_track_takes_a_slash_at_the_end_of_its_path(api: Api, key: dict[str, str], path: str) -> None:
    body = TRACK_EXAMPLE if "batch" not in path else BATCH_EXAMPLE

    assert api.client.post(path, json=body, headers=key).status_code == 202


def test_track_describes_the_sender(api: Api, redis: Redis, key: dict[str, str]) -> None:
    browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0"
    server_event = {"eventName": "a", "userId": "u", "context": {"userAgent": "curl/8", "ip": "203.0.113.7"}}

    own = api.client.post(_TRACK, json=TRACK_EXAMPLE, headers=key | {"user-agent": browser}).json()
    named = api.client.post(_TRACK, json=server_event, headers=key | {"user-agent": browser}).json()

    columns = ("ip", "user_agent", "device_type", "browser_name")
    rows = [_row_of(redis, api.environment, one["eventId"]) for one in (own, named)]
    assert [rows[0].get(name) for name in columns] == ["127.0.0.0", browser, "desktop", "Firefox"]
    assert [rows[1].get(name) for name in columns] == ["203.0.113.0", "curl/8", "other", "curl"]


def test_track_batch_answers_and_keeps_what_its_sender_should_look_at(
    api: Api, redis: Redis, key: dict[str, str]
) -> None:
    hour_behind = datetime.now(UTC) - timedelta(hours=1)
    event = {
        "eventName": "a",
        "userId": "u",
        "timestamp": hour_behind.isoformat(),
        "properties": {"url": "/?token=x"},
        "pageUrl": "/",
    }

    answer = api.client.post(
        _BATCH, json={"events": [event], "sentAt": hour_behind.isoformat(), "writeKey": "x"}, headers=key
    )

    [verdict] = answer.json()["events"]
    codes = ["unknown_field", "secret_removed", "clock_skew_corrected"]
    assert [one["code"] for one in verdict["warnings"]] == codes
    assert [(one["code"], one["field"]) for one in answer.json()["warnings"]] == [("member_ignored", "writeKey")]
    row = _row_of(redis, api.environment, verdict["eventId"])
    assert row["warnings"] == codes
    assert abs(row["clock_skew_ms"] - 3_600_000) < 30_000


def test_other_paths_are_passed_on(api: Api, key: dict[str, str]) -> None:
    assert api.client.get("/health").status_code in (200, 503)
    assert api.client.post(f"{_TRACK}/nothing", headers=key).status_code == 404


def test_track_answers_503_while_valkey_is_away(tmp_path: Path) -> None:
    port = free_port()
    process = start_valkey(tmp_path, port)
    settings, warehouse = api_settings(f"redis://127.0.0.1:{port}"), nowhere()
    try:
        process.wait_healthy()
        key, _ = write_key_for(settings, warehouse.clickhouse_database)
        with serving(settings, warehouse) as client:
            client.headers["x-write-key"] = key
            before = client.post(_TRACK, json=TRACK_EXAMPLE)
            process.stop()
            during = client.post(_TRACK, json=TRACK_EXAMPLE)
            rejected = client.post(_TRACK, json={"eventName": "a"})
            process = start_valkey(tmp_path, port)
            process.wait_healthy()
            after = client.post(_TRACK, json=TRACK_EXAMPLE)
    finally:
        process.stop()

    assert (before.status_code, during.status_code, after.status_code) == (202, 503, 202)
    assert during.json()["code"] == "stream_unavailable"
    assert (rejected.status_code, rejected.json()["code"]) == (503, "stream_unavailable")
    assert int(during.headers["retry-after"]) > 0


@contextmanager
def _api_process(settings: ApiSettings, environment: str) -> Iterator[subprocess.Popen[bytes]]:
    variables = {
        **os.environ,
        "PORT": str(settings.port),
        "REDIS_URL": settings.redis_url,
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "CLICKHOUSE_HOST": f"127.0.0.1:{free_port()}",
        "CLICKHOUSE_DATABASE": environment,
    }
    process = subprocess.Popen([sys.executable, "-m", "ingest_api"], env=variables)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_every_acknowledged_event_is_in_the_stream_when_the_api_is_killed(
    valkey: Valkey, redis: Redis, environment: str
) -> None:
    settings = api_settings(valkey.url)
    key, _ = write_key_for(settings, environment)
    acknowledged: list[str] = []

    def post(client: httpx.Client) -> None:
        for _ in range(2000):
            try:
                answer = client.post(_TRACK, json={"eventName": "a", "userId": "u"})
            except httpx.TransportError:
                return
            acknowledged.append(answer.json()["eventId"])

    with (
        _api_process(settings, environment) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", headers={"x-write-key": key}) as client,
    ):
        seconds_until(lambda: _is_up(client))
        threads = [threading.Thread(target=post, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        seconds_until(lambda: len(acknowledged) > 100)
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()

    stored = [row["event_id"] for row in _rows(redis, environment)]
    assert len(acknowledged) < 16_000
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))


def _is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code < 500
    except httpx.TransportError:
        return False


async def test_requests_at_the_same_time_share_entries(api: Api, redis: Redis, key: dict[str, str]) -> None:
    key_of_stream = stream_keys(api.environment).events
    before = redis.xlen(key_of_stream)

    async with httpx.AsyncClient(base_url=str(api.client.base_url), headers=key, timeout=30) as client:
        answers = await asyncio.gather(*(client.post(_TRACK, json=TRACK_EXAMPLE) for _ in range(100)))

    assert {answer.status_code for answer in answers} == {202}
    assert redis.xlen(key_of_stream) - before < 100
