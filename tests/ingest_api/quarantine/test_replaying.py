"""Taking rejected events in after all, over HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest_api.auth.roles import Role
from ingest_api.events.flusher import open_flusher
from ingest_api.quarantine.replaying import REPLAY_CODES
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.conftest import Api
from tests.ingest_api.events.events_given import running
from tests.ingest_api.quarantine.conftest import NOON, healed, rejected, replayed, store
from tests.ingest_api.serving import api_settings, bearer, seconds_until, serving, token_for, write_key_for
from warehouse.client import Client, connect
from warehouse.config import WarehouseSettings

PATH = "/api/analytics/quarantine"


def replay(api: Api, **asked: Any) -> dict[str, Any]:
    response = api.client.post(f"{PATH}/replay", json=asked)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    """By rejection: what the event was rejected for once more, or nothing when it was accepted."""
    return {one["rejectionId"]: one["code"] for one in answer["items"]}


@contextmanager
def warehouse_of(settings: WarehouseSettings) -> Iterator[Client]:
    client = connect(settings)
    try:
        yield client
    finally:
        client.close()


def stored(settings: WarehouseSettings, columns: str) -> list[tuple[Any, ...]]:
    with warehouse_of(settings) as client:
        answer = client.query(f"SELECT {columns} FROM {settings.database('raw')}.events ORDER BY event_id")
    return [tuple(row) for row in answer.result_rows]


@contextmanager
def flushing(api: Api) -> Iterator[None]:
    settings = api.settings.model_copy(update={"analytics_flush_interval": 20})
    with running(open_flusher(settings, api.warehouse_settings)):
        yield


def wait_until_replayed(api: Api, *rejection_ids: str) -> None:
    def is_done() -> bool:
        shown = [api.client.get(f"{PATH}/{rejection_id}").json() for rejection_id in rejection_ids]
        return all(one["status"] == "replayed" for one in shown)

    seconds_until(is_done)


def test_replayed_event_keeps_its_id_source_and_times(quarantine: Api) -> None:
    sent = {"eventName": "page_view", "userId": "ada", "properties": {"page": "/"}}
    store(
        quarantine.warehouse_settings,
        rejected(1, payload=sent, source="ios"),
        rejected(2, payload=sent | {"eventId": "e2", "timestamp": "2026-01-30T08:00:00Z"}),
    )

    answer = replay(quarantine, rejectionIds=["r1", "r2"])

    assert answer == {
        "accepted": 2,
        "rejected": 0,
        "dryRun": False,
        "items": [
            {"rejectionId": name, "eventId": event_id, "outcome": "accepted", "code": "", "message": ""}
            for name, event_id in (("r1", "e1"), ("r2", "e2"))
        ],
        "nextCursor": None,
    }
    with flushing(quarantine):
        wait_until_replayed(quarantine, "r1", "r2")
    first, second = stored(
        quarantine.warehouse_settings, "event_id, source, user_id, properties, occurred_at, received_at"
    )
    assert first == ("e1", "ios", "ada", '{"page": "/"}', *[NOON + timedelta(seconds=1)] * 2)
    assert second[4:] == (NOON - timedelta(hours=28), NOON + timedelta(seconds=2))


def test_event_that_is_still_wrong_stays_and_the_attempt_is_noted(quarantine: Api) -> None:
    store(quarantine.warehouse_settings, rejected(1), healed(2))

    answer = replay(quarantine, rejectionIds=["r2", "r1"])

    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert outcomes(answer) == {"r2": "", "r1": "identity_missing"}
    with flushing(quarantine):
        wait_until_replayed(quarantine, "r2")
    shown = quarantine.client.get(f"{PATH}/r1").json()
    assert shown["status"] == "waiting"
    [attempt] = shown["attempts"]
    assert (attempt["outcome"], attempt["code"], attempt["requestedBy"]) == ("rejected", "identity_missing", "alice")
    assert stored(quarantine.warehouse_settings, "event_id") == [("e2",)]


def test_replaying_twice_gives_the_same_row_twice(quarantine: Api) -> None:
    store(quarantine.warehouse_settings, healed(1, payload={"eventName": "click", "userId": "ada", "eventId": ""}))

    replay(quarantine, rejectionIds=["r1", "r1"])
    with flushing(quarantine):
        wait_until_replayed(quarantine, "r1")
        replay(quarantine, rejectionIds=["r1"])
        seconds_until(lambda: len(quarantine.client.get(f"{PATH}/r1").json()["attempts"]) == 2)

    rows = stored(quarantine.warehouse_settings, "* EXCEPT inserted_at")
    assert {repr(row) for row in rows} == {repr(rows[0])}
    assert rows[0][0] == "e1"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"is_complete": False}, "payload_incomplete"),
        ({"payload": '{"eventName": "cut'}, "json_invalid"),
        ({"payload": "[]"}, "not_an_object"),
        ({"payload": ""}, "json_invalid"),
    ],
)
def test_event_that_cannot_be_read_is_refused_with_the_reason(
    quarantine: Api, changed: dict[str, Any], code: str
) -> None:
    store(quarantine.warehouse_settings, healed(1, **changed))

    [verdict] = replay(quarantine, rejectionIds=["r1"])["items"]

    assert (verdict["outcome"], verdict["code"]) == ("rejected", code)
    assert verdict["message"]


def test_unknown_rejection_gets_a_verdict_of_its_own(quarantine: Api) -> None:
    store(quarantine.warehouse_settings, healed(1))

    answer = replay(quarantine, rejectionIds=["nobody", "r1"])

    assert outcomes(answer) == {"nobody": "rejection_unknown", "r1": ""}
    assert answer["items"][0]["message"] == REPLAY_CODES["rejection_unknown"]


def test_dry_run_judges_and_stores_nothing(quarantine: Api) -> None:
    store(quarantine.warehouse_settings, rejected(1), healed(2), healed(3))

    judged = replay(quarantine, filter={}, dryRun=True)
    replay(quarantine, rejectionIds=["r3"])

    assert judged["dryRun"] is True
    assert outcomes(judged) == {"r3": "", "r2": "", "r1": "identity_missing"}
    with flushing(quarantine):
        wait_until_replayed(quarantine, "r3")
    assert stored(quarantine.warehouse_settings, "event_id") == [("e3",)]


def test_filter_takes_what_waits_page_by_page(quarantine: Api) -> None:
    store(quarantine.warehouse_settings, *(healed(number) for number in range(250)))
    store(quarantine.warehouse_settings, healed(900, source="ios"), healed(901), replayed(901))
    asked: dict[str, Any] = {"filter": {"source": "web", "code": "identity_missing"}, "limit": 120}

    answers = [replay(quarantine, **asked)]
    while answers[-1]["nextCursor"]:
        answers.append(replay(quarantine, **asked, cursor=answers[-1]["nextCursor"]))

    assert [answer["accepted"] for answer in answers] == [120, 120, 10]
    names = [one["rejectionId"] for answer in answers for one in answer["items"]]
    assert names == [f"r{number}" for number in reversed(range(250))]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "rejectionIds"),
        ({"rejectionIds": ["r1"], "filter": {}}, "rejectionIds"),
        ({"rejectionIds": []}, "rejectionIds"),
        ({"rejectionIds": ["r1"] * 1001}, "rejectionIds"),
        ({"rejectionIds": ["it's"]}, "rejectionIds[0]"),
        ({"filter": {"name": "x"}}, "filter.name"),
        ({"filter": {"since": "soon"}}, "filter.since"),
        ({"filter": {}, "cursor": "x"}, "cursor"),
        ({"filter": {}, "limit": 1001}, "limit"),
    ],
)
def test_wrong_request_is_refused_by_its_field(quarantine: Api, asked: dict[str, Any], field: str) -> None:
    response = quarantine.client.post(f"{PATH}/replay", json=asked)

    assert response.status_code == 400, response.text
    assert [one["field"] for one in response.json()["errors"]] == [field]


def write_plan(directory: Path, enumerated: str) -> None:
    (directory / "plan.yml").write_text("version: 1\nunknown_events: off\n")
    (directory / "shop.yml").write_text(
        "version: 1\nevents:\n"
        "  - name: plan_chosen\n    description: A visitor chose a price plan.\n    owner: shop\n    mode: enforce\n"
        "    properties:\n      - name: tier\n        type: string\n        required: true\n"
        f"        description: The chosen tier.\n        enum: [{enumerated}]\n"
    )


def track(client: httpx.Client, key: str, tier: str, number: int) -> httpx.Response:
    event = {"eventName": "plan_chosen", "userId": "ada", "eventId": f"choice-{number}", "properties": {"tier": tier}}
    return client.post("/api/analytics/track", json=event, headers={"x-write-key": key})


def test_event_refused_by_the_plan_comes_in_after_the_plan_is_corrected(
    gateway: Gateway, valkey: Valkey, tmp_path: Path
) -> None:
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    settings = settings.model_copy(update={"analytics_tracking_plan": tmp_path, "analytics_flush_interval": 20})
    key, _ = write_key_for(settings, warehouse_settings.clickhouse_database)
    write_plan(tmp_path, "basic, pro")

    with serving(settings, warehouse_settings) as client, running(open_flusher(settings, warehouse_settings)):
        client.headers.update(bearer(token_for(settings, Role.EDITOR)))
        assert track(client, key, "basic", 1).status_code == 202
        refused = track(client, key, "team", 2)
        assert (refused.status_code, refused.json()["code"]) == (400, "plan_property_not_allowed")
        seconds_until(lambda: client.get(PATH).json()["items"] != [])
        [item] = client.get(PATH, params={"code": "plan_property_not_allowed"}).json()["items"]
        assert (item["eventId"], item["field"]) == ("choice-2", "properties.tier")
        again = client.post(f"{PATH}/replay", json={"rejectionIds": [item["rejectionId"]]}).json()
        assert again["items"][0]["code"] == "plan_property_not_allowed"

    write_plan(tmp_path, "basic, pro, team")
    with serving(settings, warehouse_settings) as client, running(open_flusher(settings, warehouse_settings)):
        client.headers.update(bearer(token_for(settings, Role.EDITOR)))
        answer = client.post(f"{PATH}/replay", json={"filter": {"eventName": "plan_chosen"}}).json()
        assert (answer["accepted"], answer["rejected"]) == (1, 0)
        seconds_until(lambda: client.get(PATH).json()["items"] == [])
        shown = client.get(f"{PATH}/{item['rejectionId']}").json()

    assert [one["outcome"] for one in shown["attempts"]] == ["rejected", "accepted"]
    rows = stored(warehouse_settings, "event_id, properties")
    assert [(event_id, json.loads(properties)) for event_id, properties in rows] == [
        ("choice-1", {"tier": "basic"}),
        ("choice-2", {"tier": "team"}),
    ]


def test_event_refused_by_the_warehouse_waits_until_the_warehouse_takes_it(quarantine: Api) -> None:
    raw = quarantine.warehouse_settings.database("raw")
    key, _ = write_key_for(quarantine.settings, quarantine.environment)
    event = {"eventName": "page_view", "userId": "unlucky", "eventId": "e1", "timestamp": "2026-01-30T08:00:00Z"}

    def waiting() -> list[str]:
        items = quarantine.client.get(PATH).json()["items"]
        return [one["rejectionId"] for one in items if one["rejectedBy"] == "warehouse" and one["eventId"] == "e1"]

    with warehouse_of(quarantine.warehouse_settings) as client, flushing(quarantine):
        client.command(f"ALTER TABLE {raw}.events ADD CONSTRAINT lucky CHECK user_id != 'unlucky'")
        posted = quarantine.client.post("/api/analytics/track", json=event, headers=bearer(key))
        assert posted.status_code == 202
        seconds_until(lambda: len(waiting()) == 1)
        for _ in range(2):
            before = waiting()
            replay(quarantine, rejectionIds=before)
            # It is refused once more, which is a rejection of its own.
            seconds_until(lambda before=before: len(waiting()) == 1 and waiting() != before)
        client.command(f"ALTER TABLE {raw}.events DROP CONSTRAINT lucky")
        replay(quarantine, rejectionIds=waiting())
        seconds_until(lambda: waiting() == [])

    assert stored(quarantine.warehouse_settings, "event_id, user_id, occurred_at") == [
        ("e1", "unlucky", datetime(2026, 1, 30, 8, tzinfo=UTC))
    ]
