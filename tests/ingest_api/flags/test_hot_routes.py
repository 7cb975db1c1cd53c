"""Evaluating flags over HTTP."""

import gzip
import json
from typing import Any

import pytest

from ingest_api.auth.roles import Role
from ingest_api.errors import PROBLEM_MEDIA_TYPE
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.conftest import EVALUATE, FLAGS
from tests.ingest_api.flags.definitions_given import CUSTOMERS_FLAG, created, value_of
from tests.ingest_api.serving import bearer, token_for

CUSTOMERS_CONTEXT = {"userId": "user123", "attributes": {"country": "US", "plan": "premium"}}


def test_the_customers_flag_is_evaluated_for_the_customers_user(flags: Api, write_key: dict[str, str]) -> None:
    version = flags.client.post(FLAGS, json=CUSTOMERS_FLAG).json()["version"]

    answer = flags.client.post(f"{FLAGS}/new_feature/evaluate", json=CUSTOMERS_CONTEXT, headers=write_key)

    assert answer.status_code == 200
    assert answer.json() == {
        "key": "new_feature",
        "value": True,
        "variant": "on",
        "reason": "SPLIT",
        "ruleId": "rollout",
        "version": version,
    }


def test_a_flag_is_on_for_the_share_of_users_that_it_says(flags: Api) -> None:
    flags.client.post(FLAGS, json=CUSTOMERS_FLAG)

    values = [value_of(flags.client, "new_feature", f"user{number}") for number in range(400)]

    assert 150 < sum(values) < 250
    assert values == [value_of(flags.client, "new_feature", f"user{number}") for number in range(400)]


@pytest.mark.parametrize(
    ("type_", "value", "default"),
    [("boolean", True, False), ("string", "blau", ""), ("number", 2.5, 0), ("json", {"a": [1, None]}, None)],
)
def test_a_flag_of_each_type_answers_its_value_or_its_default(flags: Api, type_: str, value: Any, default: Any) -> None:
    members = {"type": type_, "value": value, "defaultValue": default}
    conditions = [{"attribute": "country", "operator": "equals", "value": "US"}]

    created(flags.client, conditions=conditions, **members)

    assert value_of(flags.client, country="US") == value
    assert value_of(flags.client, country="DE") == default


def test_the_kill_switch_wins_over_everything(flags: Api) -> None:
    created(flags.client, rules=[{"id": "all", "force": True}])
    assert value_of(flags.client) is True

    flags.client.patch(f"{FLAGS}/dark_mode", json={"isEnabled": False})

    answer = flags.client.post(f"{FLAGS}/dark_mode/evaluate", json={"userId": "u1"}).json()
    assert (answer["value"], answer["reason"]) == (False, "DISABLED")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"userId": 7}', b'{"attributes": null}', gzip.compress(b'{"userId": "u1"}', mtime=0)]
)
def test_a_user_may_be_said_in_many_ways(flags: Api, body: bytes) -> None:
    created(flags.client)

    answer = flags.client.post(f"{FLAGS}/dark_mode/evaluate", content=body)

    assert (answer.status_code, answer.json()["value"]) == (200, True)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"userId": true}', b'{"attributes": []}', b'{"attribtues": {}}', b"\xff", b"[" * 5000]
)
def test_a_body_that_is_not_as_documented_is_refused(flags: Api, body: bytes) -> None:
    created(flags.client)

    for path in (f"{FLAGS}/dark_mode/evaluate", EVALUATE):
        answer = flags.client.post(path, content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "input_invalid"), answer.text


def test_an_unknown_flag_is_a_problem(flags: Api) -> None:
    answer = flags.client.post(f"{FLAGS}/nobody/evaluate", json={})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert answer.json()["code"] == "flag_not_found"


def test_another_method_is_refused(flags: Api) -> None:
    answer = flags.client.get(EVALUATE)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_all_flags_are_evaluated_at_once(flags: Api) -> None:
    created(flags.client, "a", type="string", value="x")
    created(flags.client, "b", isEnabled=False)

    every = flags.client.post(EVALUATE, json={"userId": "u1"}).json()["flags"]
    named = flags.client.post(EVALUATE, json={"userId": "u1", "keys": ["b", "nobody"]}).json()["flags"]

    assert {key: one["value"] for key, one in every.items()} == {"a": "x", "b": False}
    assert every["a"] == flags.client.post(f"{FLAGS}/a/evaluate", json={"userId": "u1"}).json()
    assert named["b"] == every["b"]
    assert (named["nobody"]["reason"], named["nobody"]["errorCode"]) == ("ERROR", "FLAG_NOT_FOUND")


def test_too_many_keys_are_refused(flags: Api) -> None:
    answer = flags.client.post(EVALUATE, json={"keys": ["a"] * 1001})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "keys"


def test_answers_that_the_client_has_are_not_sent_again(flags: Api) -> None:
    created(flags.client, type="string", value="x")
    body = {"userId": "u1"}

    first = flags.client.post(EVALUATE, json=body)
    tag = {"if-none-match": first.headers["etag"]}
    again = flags.client.post(EVALUATE, json=body, headers=tag)
    flags.client.patch(f"{FLAGS}/dark_mode", json={"value": "y"})
    changed = flags.client.post(EVALUATE, json=body, headers=tag)

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert "content-type" not in again.headers
    assert (changed.status_code, changed.json()["flags"]["dark_mode"]["value"]) == (200, "y")
    assert changed.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("role", Role)
def test_every_role_may_evaluate(flags: Api, role: Role) -> None:
    created(flags.client)

    answer = flags.client.post(EVALUATE, json={}, headers=bearer(token_for(flags.settings, role)))

    assert answer.status_code == 200


def test_a_write_key_evaluates_and_does_not_read_definitions(flags: Api, write_key: dict[str, str]) -> None:
    created(flags.client)
    del flags.client.headers["authorization"]
    api_key = {"x-api-key": write_key["x-write-key"]}

    answers = [flags.client.post(EVALUATE, json={}, headers=key).status_code for key in (write_key, api_key)]
    refused = [flags.client.get(path, headers=write_key) for path in (FLAGS, f"{FLAGS}/dark_mode")]
    flags.client.headers.update(bearer(token_for(flags.settings, Role.EDITOR)))

    assert answers == [200, 200]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(403, "permission_missing")] * 2


def test_nobody_evaluates_without_a_credential(flags: Api) -> None:
    authorization = flags.client.headers.pop("authorization")

    answer = flags.client.post(EVALUATE, json={})
    flags.client.headers["authorization"] = authorization

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_page_of_another_origin_evaluates(flags: Api, write_key: dict[str, str]) -> None:
    created(flags.client)
    origin = {"origin": "https://shop.example"}
    asked = origin | {"access-control-request-method": "POST", "access-control-request-headers": "x-write-key"}

    allowed = flags.client.options(EVALUATE, headers=asked)
    answer = flags.client.post(EVALUATE, json={}, headers=origin | write_key)

    assert allowed.status_code == 204
    assert {"if-none-match", "x-write-key", "x-api-key"} <= set(
        allowed.headers["access-control-allow-headers"].split(", ")
    )
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "etag" in answer.headers["access-control-expose-headers"]


def test_evaluations_are_in_the_metrics_by_route(flags: Api) -> None:
    created(flags.client)
    value_of(flags.client)
    flags.client.post(EVALUATE, json={})

    text = flags.client.get("/metrics").text

    for route in (EVALUATE, FLAGS + "/{key}/evaluate"):
        assert f'analytics_request_duration_seconds_count{{route="{route}"}}' in text


def test_a_sticky_user_keeps_the_variation_when_weights_change(flags: Api) -> None:
    rule = {"id": "split", "variations": ["a", "b"], "weights": [1, 0], "sticky": True}
    created(flags.client, type="string", value="a", rules=[rule])
    assert value_of(flags.client, user_id="early") == "a"

    flags.client.patch(f"{FLAGS}/dark_mode", json={"rules": [rule | {"weights": [0, 1]}]})

    assert value_of(flags.client, user_id="early") == "a"
    assert value_of(flags.client, user_id="late") == "b"
    explained = [
        flags.client.post(f"{FLAGS}/dark_mode/explain", json={"userId": one}).json() for one in ("early", "new")
    ]
    assert [one["value"] for one in explained] == ["a", "b"]


def test_evaluation_survives_hostile_attributes(flags: Api) -> None:
    conditions = [{"attribute": "name", "operator": "equals", "value": "x"}]
    created(flags.client, conditions=conditions)

    for attributes in ({"name": "\ud800"}, {"name": 10**400}, {"name": {"$ref": "a" * 10_000}}, {"": None}):
        answer = flags.client.post(EVALUATE, content=json.dumps({"userId": "u", "attributes": attributes}))
        assert answer.status_code in (200, 400), answer.text
