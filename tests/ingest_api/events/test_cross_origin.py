"""Posting from pages of other origins."""

import gzip
import json
from collections.abc import Callable

import pytest

from ingest_api.events.hot_routes import BATCH_PATH, TRACK_PATH
from ingest_api.events.openapi import TRACK_EXAMPLE
from tests.ingest_api.conftest import Api


@pytest.mark.parametrize(
    ("path", "content", "headers", "status"),
    [
        (TRACK_PATH, json.dumps(TRACK_EXAMPLE), {}, 202),
        (TRACK_PATH, "{", {}, 400),
        (BATCH_PATH, "{}", {"x-write-key": "wk_wrong"}, 401),
        ("/api/analytics/nothing", "", {}, 404),
    ],
)
def test_a_page_of_another_origin_can_read_every_answer(
    api: Api, key: dict[str, str], path: str, content: str, headers: dict[str, str], status: int
) -> None:
    answer = api.client.post(path, content=content, headers=key | {"origin": "https://shop.example"} | headers)

    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] in ("https://shop.example", "*")
    assert "retry-after" in answer.headers["access-control-expose-headers"].lower()


def test_answers_speak_of_origins_only_when_asked_by_a_page(api: Api, key: dict[str, str]) -> None:
    answer = api.client.post(TRACK_PATH, json=TRACK_EXAMPLE, headers=key)

    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", [TRACK_PATH, BATCH_PATH, f"{TRACK_PATH}/", "/api/analytics/schema"])
def test_a_page_is_told_before_it_posts_what_it_may_send(api: Api, path: str) -> None:
    asked = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-write-key",
    }

    answer = api.client.options(path, headers=asked)

    assert answer.status_code in (200, 204)
    assert answer.headers["access-control-allow-origin"] in ("https://shop.example", "*")
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "x-write-key"} <= allowed


def test_a_beacon_which_sends_cookies_and_no_headers_is_taken(api: Api, key: dict[str, str]) -> None:
    answer = api.client.post(
        TRACK_PATH,
        params={"writeKey": key["x-write-key"]},
        content=json.dumps(TRACK_EXAMPLE),
        headers={"content-type": "text/plain;charset=UTF-8", "origin": "https://a.example", "cookie": "a=b"},
    )

    assert (answer.status_code, answer.headers["access-control-allow-credentials"]) == (202, "true")


@pytest.mark.parametrize(
    ("headers", "compress"),
    [
        ({"content-type": "text/plain;charset=UTF-8"}, bytes),
        ({"content-type": "text/plain"}, gzip.compress),
        ({"content-type": "application/x-www-form-urlencoded"}, gzip.compress),
        ({"content-type": "application/octet-stream"}, bytes),
        ({}, bytes),
    ],
)
def test_track_reads_json_whatever_the_headers_say(
    api: Api, key: dict[str, str], headers: dict[str, str], compress: Callable[[bytes], bytes]
) -> None:
    answer = api.client.post(TRACK_PATH, content=compress(json.dumps(TRACK_EXAMPLE).encode()), headers=key | headers)

    assert answer.status_code == 202
