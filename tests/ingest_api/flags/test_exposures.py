"""Who saw which variant, as events; and how often which answer was given."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flags.exposure import is_sampled
from ingest_api.auth.roles import Role
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.conftest import Api
from tests.ingest_api.events.events_given import running
from tests.ingest_api.events.flushers_given import flusher_given
from tests.ingest_api.flags.conftest import EVALUATE, FLAGS
from tests.ingest_api.flags.definitions_given import created
from tests.ingest_api.serving import api_settings, bearer, seconds_until, serving, token_for, write_key_for
from warehouse.client import Client, connect


@pytest.fixture(scope="module")
def exposing(gateway: Gateway, valkey: Valkey) -> Iterator[Api]:
    """An API of which each evaluation becomes an event, with a flusher behind it."""
    settings = api_settings(valkey.url).model_copy(update={"feature_flags_exposure_share": 1.0})
    warehouse_settings = fresh_settings(gateway)
    with serving(settings, warehouse_settings) as client, running(flusher_given(valkey.url, warehouse_settings)):
        client.headers.update(bearer(token_for(settings, Role.EDITOR)))
        yield Api(client, settings, warehouse_settings)


@pytest.fixture
def tables(exposing: Api) -> Iterator[Client]:
    client = connect(exposing.warehouse_settings)
    yield client
    client.close()


def events_of(tables: Client, api: Api, flag: str) -> list[dict[str, Any]]:
    columns = ("event_name", "event_type", "user_id", "source", "properties", "user_agent")
    rows = tables.query(
        f"SELECT {', '.join(columns)} FROM {api.warehouse_settings.database('raw')}.events "
        f"WHERE JSONExtractString(properties, '$feature_flag') = '{flag}' ORDER BY user_id, received_at"
    ).result_rows
    return [dict(zip(columns, row, strict=True)) for row in rows]


def evaluate(client: httpx.Client, flag: str, user_id: str, **headers: str) -> Any:
    answer = client.post(f"{FLAGS}/{flag}/evaluate", json={"userId": user_id}, headers=headers)
    assert answer.status_code == 200
    return answer.json()["value"]


def test_what_a_user_saw_is_one_event(exposing: Api, tables: Client) -> None:
    created(exposing.client, "seen", type="string", value="x", rules=[{"id": "all", "force": "blue"}])
    key, _ = write_key_for(exposing.settings, exposing.environment, "ios")

    for _ in range(3):
        evaluate(
            exposing.client,
            "seen",
            "ada",
            **{"x-write-key": key, "user-agent": "App/1", "authorization": f"Bearer {key}"},
        )
        exposing.client.post(EVALUATE, json={"userId": "bob", "keys": ["seen"]})
    seconds_until(lambda: len(events_of(tables, exposing, "seen")) >= 2)

    ada, bob = events_of(tables, exposing, "seen")
    assert (ada["user_id"], ada["source"], ada["user_agent"]) == ("ada", "ios", "App/1")
    assert (bob["user_id"], bob["source"]) == ("bob", "api")
    assert (ada["event_name"], ada["event_type"]) == ("$feature_flag_called", "experiment")
    properties = json.loads(ada["properties"])
    assert properties == properties | {
        "$feature_flag": "seen",
        "$feature_flag_response": "blue",
        "$feature_flag_version": 1,
        "$feature_flag_reason": "TARGETING_MATCH",
        "$feature_flag_rule_id": "all",
    }


def test_another_answer_is_another_event(exposing: Api, tables: Client) -> None:
    created(exposing.client, "changing", type="string", value="x")
    evaluate(exposing.client, "changing", "ada")

    exposing.client.patch(f"{FLAGS}/changing", json={"value": "y"})
    evaluate(exposing.client, "changing", "ada")

    seconds_until(lambda: len(events_of(tables, exposing, "changing")) == 2)
    answers = [
        json.loads(one["properties"])["$feature_flag_response"] for one in events_of(tables, exposing, "changing")
    ]
    assert answers == ["x", "y"]


def test_who_has_no_id_is_exposed_to_nothing(exposing: Api, tables: Client) -> None:
    created(exposing.client, "anonymous")
    exposing.client.post(f"{FLAGS}/anonymous/evaluate", json={})
    created(exposing.client, "after")
    evaluate(exposing.client, "after", "ada")

    seconds_until(lambda: len(events_of(tables, exposing, "after")) == 1)

    assert events_of(tables, exposing, "anonymous") == []


def test_nothing_is_an_event_where_no_share_is_set(flags: Api) -> None:
    created(flags.client)

    evaluate(flags.client, "dark_mode", "ada")

    table = f"{flags.warehouse_settings.database('raw')}.events"
    with running(flusher_given(flags.settings.redis_url, flags.warehouse_settings)):
        sent = {"eventName": "after", "userId": "ada"}
        assert flags.client.post("/api/analytics/track", json=sent).status_code == 202
        client = connect(flags.warehouse_settings)
        seconds_until(lambda: bool(client.query(f"SELECT 1 FROM {table} WHERE event_name = 'after'").result_rows))
    [[count]] = client.query(f"SELECT count() FROM {table} WHERE event_name = '$feature_flag_called'").result_rows
    client.close()
    assert count == 0


def test_a_share_of_the_users_is_all_of_their_exposures_or_none(gateway: Gateway, valkey: Valkey) -> None:
    settings = api_settings(valkey.url).model_copy(update={"feature_flags_exposure_share": 0.3})
    warehouse_settings = fresh_settings(gateway)
    with serving(settings, warehouse_settings) as client, running(flusher_given(valkey.url, warehouse_settings)):
        client.headers.update(bearer(token_for(settings, Role.EDITOR)))
        for flag in ("a", "b"):
            created(client, flag)
        for number in range(200):
            client.post(EVALUATE, json={"userId": f"user{number}"})
        table = f"{warehouse_settings.database('raw')}.events"
        warehouse = connect(warehouse_settings)

        def seen() -> dict[str, int]:
            return dict(warehouse.query(f"SELECT user_id, count() FROM {table} GROUP BY user_id").result_rows)

        # Those who come last are in, so that the others have arrived when they have.
        last = [f"last{number}" for number in range(100) if is_sampled(f"last{number}", 0.3)]
        for user_id in last:
            client.post(EVALUATE, json={"userId": user_id})
        seconds_until(lambda: seen().get(last[-1]) == 2, 30)
        counts = {user_id: count for user_id, count in seen().items() if user_id.startswith("user")}
        warehouse.close()

    assert set(counts.values()) == {2}
    assert 30 < len(counts) < 90


def test_how_often_each_answer_was_given_is_counted(exposing: Api, tables: Client) -> None:
    created(exposing.client, "counted", type="string", value="x", defaultValue="z", rolloutPercentage=50)
    values = [evaluate(exposing.client, "counted", f"user{number}") for number in range(40)]
    table = f"{exposing.warehouse_settings.database('raw')}.flag_evaluations"

    def counted() -> dict[str, int]:
        rows = tables.query(
            f"SELECT answer, sum(evaluation_count) FROM {table} WHERE flag_key = 'counted' GROUP BY answer"
        ).result_rows
        return {json.loads(answer): count for answer, count in rows}

    seconds_until(lambda: sum(counted().values()) == 40, 30)

    assert counted() == {value: values.count(value) for value in set(values)}


def test_what_is_forced_is_no_event(exposing: Api, tables: Client) -> None:
    variants = [{"key": "a", "value": "a"}, {"key": "b", "value": "b"}]
    created(exposing.client, "forced", type="string", defaultValue="-", variants=variants)
    key, _ = write_key_for(exposing.settings, exposing.environment, "qa")
    forced = ({"forcedVariations": {"forced": 1}}, {"forcedFeatures": [["forced", "c"]]}, {})

    for number, one in enumerate(forced):
        answer = exposing.client.post(f"/api/eval/{key}", json={"attributes": {"id": f"qa-{number}"}} | one)
        assert answer.status_code == 200
    seconds_until(lambda: events_of(tables, exposing, "forced") != [])

    assert [one["user_id"] for one in events_of(tables, exposing, "forced")] == ["qa-2"]
