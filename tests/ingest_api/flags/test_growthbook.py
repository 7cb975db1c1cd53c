"""What GrowthBook's SDKs ask: the payload, events of changes, and remote evaluation."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import Any

import httpx
import pytest
from growthbook import GrowthBook
from growthbook.growthbook import feature_repo

from ingest_api.flags.listeners import MAX_LISTENERS
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.flags.flags_given import CUSTOMERS_FLAG, flag
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.clients_given import FlagApi, flag_api
from tests.ingest_api.serving import api_settings, seconds_until, serving

SITE = {"origin": "https://shop.example"}


@pytest.fixture
def flags(api: Api) -> FlagApi:
    flags = flag_api(api)
    flags.apply(flag(**CUSTOMERS_FLAG), flag("number", type="number", value=2.0, defaultValue=0))
    return flags


class Listening:
    """A listener, and what it hears."""

    def __init__(self, flags: FlagApi) -> None:
        self.heard: Queue[str] = Queue()
        self.has_ended = threading.Event()
        self._opened = threading.Event()
        self._address = f"{flags.url}/sub/{flags.write_key}"
        self._client = httpx.Client(timeout=60)
        self.answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._opened.wait(10)

    def _read(self) -> None:
        try:
            with self._client.stream("GET", self._address, headers=SITE) as self.answer:
                self._opened.set()
                for line in self.answer.iter_lines():
                    if line.startswith("event:"):
                        self.heard.put(line)
            self.has_ended.set()
        except httpx.HTTPError:
            self._opened.set()

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def listening(flags: FlagApi) -> Iterator[Listening]:
    listening = Listening(flags)
    yield listening
    listening.close()


def listener(flags: FlagApi, stack: ExitStack) -> socket.socket:
    """A listener that costs little."""
    url = flags.client.base_url
    connection = stack.enter_context(socket.create_connection((url.host, url.port), timeout=10))
    connection.sendall(f"GET /sub/{flags.write_key} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def features(flags: FlagApi, **headers: str) -> httpx.Response:
    return flags.client.get(f"/api/features/{flags.write_key}", headers=headers)


def test_payload_is_answered_until_something_changes(flags: FlagApi) -> None:
    first = features(flags, **SITE)
    again = features(flags, **{"if-none-match": first.headers["etag"]})
    flags.client.patch("/api/feature-flags/flags/new_feature", headers=flags.editor, json={"rolloutPercentage": 51})
    changed = features(flags, **{"if-none-match": first.headers["etag"]})

    assert first.json()["features"]["new_feature"]["rules"][0]["coverage"] == 0.5
    assert '"defaultValue":0,"rules":[{"id":"rollout","force":2.0}]' in first.text
    assert (first.headers["x-sse-support"], first.headers["cache-control"]) == ("enabled", "private, no-cache")
    assert "x-sse-support" in first.headers["access-control-expose-headers"]
    assert (again.status_code, again.content) == (304, b"")
    assert changed.json()["features"]["new_feature"]["rules"][0]["coverage"] == 0.51
    assert changed.json()["dateUpdated"] > first.json()["dateUpdated"]


def test_payload_changes_when_a_schedule_does(flags: FlagApi) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    flags.apply(flag("later", schedule={"validFrom": soon.isoformat()}))

    before = features(flags)
    seconds_until(lambda: datetime.now(UTC) > soon)
    after = features(flags, **{"if-none-match": before.headers["etag"]})

    assert before.json()["features"]["later"] == {"defaultValue": False}
    assert after.json()["features"]["later"]["rules"] == [{"id": "rollout", "force": True}]
    assert after.json()["dateUpdated"] > before.json()["dateUpdated"]


@pytest.mark.parametrize("key", ["wk_wrong", "sdk-abc", "%F0%9F%91%A9"])
def test_wrong_client_key_is_refused(flags: FlagApi, key: str) -> None:
    answers = [
        flags.client.get(f"/api/features/{key}", headers=SITE),
        flags.client.post(f"/api/eval/{key}", json={}, headers=SITE),
        flags.client.get(f"/sub/{key}", headers=SITE),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (401, "write_key_invalid")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["access-control-allow-origin"] == SITE["origin"]


def test_remote_evaluation_answers_values_only(flags: FlagApi) -> None:
    own = flags.evaluated({"userId": "ann"})

    answer = flags.client.post(f"/api/eval/{flags.write_key}", json={"attributes": {"id": "ann"}})

    assert answer.json()["features"] == {key: {"defaultValue": one["value"]} for key, one in own.items()}
    assert answer.json()["dateUpdated"] == features(flags).json()["dateUpdated"]


def test_remote_evaluation_takes_what_is_forced(flags: FlagApi) -> None:
    forced = {"attributes": {"id": "ann"}, "forcedFeatures": [["number", 7]], "forcedVariations": {}, "url": ""}

    answer = flags.client.post(f"/api/eval/{flags.write_key}", json=forced)

    assert answer.json()["features"]["number"] == {"defaultValue": 7}


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"text"'])
def test_remote_evaluation_of_no_object_is_refused(flags: FlagApi, body: bytes) -> None:
    answer = flags.client.post(f"/api/eval/{flags.write_key}", content=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "input_invalid")


@pytest.mark.parametrize("document", [{}, {"attributes": [], "forcedVariations": 1, "forcedFeatures": {}, "url": 3}])
def test_remote_evaluation_takes_any_object(flags: FlagApi, document: dict[str, Any]) -> None:
    answer = flags.client.post(f"/api/eval/{flags.write_key}", json=document)

    assert answer.json()["features"]["new_feature"] == {"defaultValue": False}


def test_methods_are_those_of_the_sdks(flags: FlagApi) -> None:
    assert flags.client.post(f"/api/features/{flags.write_key}").headers["allow"] == "GET, OPTIONS"
    assert flags.client.get(f"/api/eval/{flags.write_key}").headers["allow"] == "POST, OPTIONS"
    assert flags.client.post(f"/sub/{flags.write_key}").status_code == 405
    allowed = flags.client.options(f"/api/features/{flags.write_key}", headers=SITE)
    assert "GET" in allowed.headers["access-control-allow-methods"]


def test_listener_hears_of_edits_and_schedules(flags: FlagApi, listening: Listening) -> None:
    listening.heard.get(timeout=5)  # what changed before it came

    soon = datetime.now(UTC) + timedelta(seconds=2)
    flags.apply(flag("later", schedule={"validFrom": soon.isoformat()}))
    of_edit = listening.heard.get(timeout=1)
    began = datetime.now(UTC)
    of_schedule = listening.heard.get(timeout=10)
    heard_at = datetime.now(UTC)

    assert listening.answer is not None
    assert listening.answer.headers["content-type"] == "text/event-stream"
    assert listening.answer.headers["access-control-allow-origin"] == SITE["origin"]
    assert of_edit == of_schedule == "event: features-updated"
    assert began < soon <= heard_at < soon + timedelta(seconds=1)
    assert features(flags).json()["features"]["later"]["rules"]
    time.sleep(0.5)
    assert listening.heard.empty()


def test_client_library_hears_of_a_change(flags: FlagApi) -> None:
    # The library has one listener for its whole process: no other test may let it listen.
    client = GrowthBook(api_host=flags.url, client_key=flags.write_key, streaming=True)
    client.set_attributes({"id": "u"})
    assert client.eval_feature("number").value == 2.0

    changed = flags.client.patch("/api/feature-flags/flags/number", headers=flags.editor, json={"value": 3.0})

    assert changed.status_code == 200
    assert seconds_until(lambda: client.eval_feature("number").value == 3.0) < 5
    client.destroy(timeout=0.5)  # its thread of events does not end sooner
    feature_repo.clear_cache()
    if feature_repo.http is not None:
        feature_repo.http.clear()


def test_listeners_are_bounded(flags: FlagApi) -> None:
    with ExitStack() as stack:
        open_ones = [listener(flags, stack) for _ in range(MAX_LISTENERS)]
        assert all(b" 200 OK" in one.recv(4096) for one in open_ones)
        one_more = flags.client.get(f"/sub/{flags.write_key}")
        open_ones[0].close()

        assert (one_more.status_code, one_more.json()["code"]) == (503, "unavailable")
        assert int(one_more.headers["retry-after"]) > 0
        seconds_until(lambda: b" 200 OK" in listener(flags, stack).recv(4096))


def test_server_stops_at_once_although_it_has_listeners(gateway: Gateway, valkey: Valkey) -> None:
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    with serving(settings, warehouse_settings) as client:
        flags = flag_api(Api(client, settings, warehouse_settings))
        flags.apply(flag("a", value=True))
        all_listening = [Listening(flags) for _ in range(3)]
        stopped_at = time.monotonic()

    assert time.monotonic() - stopped_at < 3
    for one in all_listening:
        assert one.has_ended.wait(5)
        one.close()
