"""OpenFeature's remote evaluation protocol, to the letter: providers are strict."""

import json
from typing import Any

import httpx
import pytest

from ingest_api.auth.roles import Role
from tests.flags.flags_given import CUSTOMERS_FLAG, flag
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.clients_given import FlagApi, flag_api
from tests.ingest_api.serving import bearer, token_for

BULK = "/ofrep/v1/evaluate/flags"
ANN = {"context": {"targetingKey": "ann", "plan": "pro"}}


@pytest.fixture(scope="module")
def flags(api: Api) -> FlagApi:
    flags = flag_api(api)
    flags.apply(
        flag(**CUSTOMERS_FLAG),
        flag("float", type="number", value=2.0, defaultValue=0),
        flag("integer", type="number", value=2, defaultValue=0),
        flag("targeted", type="string", value="yes", defaultValue="no", conditions=[{"plan": "pro"}]),
        flag("without-default", type="string", value="yes", rolloutPercentage=0),
        flag("off", isEnabled=False),
        flag("team.ui:new-1", value=True),
    )
    return flags


def posted(flags: FlagApi, path: str, body: Any = None, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(ANN if body is None else body)
    return flags.client.post(path, content=content, headers={"x-api-key": flags.write_key} | headers)


def test_answer_has_the_documented_form(flags: FlagApi) -> None:
    answer = posted(flags, f"{BULK}/targeted")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "key": "targeted",
        "value": "yes",
        "reason": "TARGETING_MATCH",
        "variant": None,
        "metadata": {"version": 1, "ruleId": "rollout"},
    }


def test_numbers_are_written_as_the_flag_has_them(flags: FlagApi) -> None:
    assert '"value":2.0,' in posted(flags, f"{BULK}/float").text
    assert '"value":2,' in posted(flags, f"{BULK}/integer").text


def test_disabled_flag_has_its_off_value(flags: FlagApi) -> None:
    answer = posted(flags, f"{BULK}/off").json()

    assert (answer["value"], answer["reason"], answer["variant"]) == (False, "DISABLED", "off")


def test_flag_without_a_value_leaves_it_to_the_app(flags: FlagApi) -> None:
    answer = posted(flags, f"{BULK}/without-default").json()

    assert "value" not in answer
    assert (answer["reason"], answer["variant"]) == ("DEFAULT", None)


@pytest.mark.parametrize("written", ["team.ui:new-1", "team.ui%3Anew-1", "team%2Eui:new%2D1", "team.ui:new-1/"])
def test_key_may_be_encoded(flags: FlagApi, written: str) -> None:
    assert posted(flags, f"{BULK}/{written}").json()["key"] == "team.ui:new-1"


@pytest.mark.parametrize("written", ["nothing", "team/ui", "team%2Fui", "100%25", "%F0%9F%91%A9"])
def test_unknown_flag_is_not_found(flags: FlagApi, written: str) -> None:
    answer = posted(flags, f"{BULK}/{written}")

    assert answer.status_code == 404
    assert answer.json().keys() == {"key", "errorCode", "errorDetails"}
    assert answer.json()["errorCode"] == "FLAG_NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"\xff\xfe", "PARSE_ERROR"),
        ([], "PARSE_ERROR"),
        (b"[" * 100_000, "PARSE_ERROR"),
        ({"context": "ann"}, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": True}}, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": {"id": 1}}}, "INVALID_CONTEXT"),
    ],
)
@pytest.mark.parametrize("path", [BULK, f"{BULK}/new_feature"])
def test_bad_request_says_why(flags: FlagApi, path: str, body: Any, code: str) -> None:
    answer = posted(flags, path, body)

    named = {"key": "new_feature"} if path != BULK else {}
    assert answer.status_code == 400
    assert answer.json() == named | {"errorCode": code, "errorDetails": answer.json()["errorDetails"]}


@pytest.mark.parametrize("body", [b"", {}, {"context": None}, {"context": {}}, {"context": {"targetingKey": None}}])
def test_context_without_targeting_key_is_refused_only_where_it_is_needed(flags: FlagApi, body: Any) -> None:
    split, static = posted(flags, f"{BULK}/new_feature", body), posted(flags, f"{BULK}/integer", body)
    of_all = {one["key"]: one for one in posted(flags, BULK, body).json()["flags"]}

    assert (split.status_code, split.json()["errorCode"]) == (400, "TARGETING_KEY_MISSING")
    assert (static.status_code, static.json()["reason"]) == (200, "STATIC")
    assert of_all["new_feature"] == split.json()
    assert of_all["integer"] == static.json()


@pytest.mark.parametrize("key", ["42", 42])
def test_targeting_key_is_the_user_id(flags: FlagApi, key: str | int) -> None:
    answer = posted(flags, f"{BULK}/new_feature", {"context": {"targetingKey": key, "id": "somebody else"}}).json()

    assert answer["value"] is flags.evaluated({"userId": "42"})["new_feature"]["value"]


def test_bulk_is_not_modified_while_this_context_gets_the_same(flags: FlagApi) -> None:
    first = posted(flags, BULK)
    again = posted(flags, BULK, **{"if-none-match": first.headers["etag"]})
    of_another = posted(flags, BULK, {"context": {"targetingKey": "ann"}}, **{"if-none-match": first.headers["etag"]})

    assert {one["key"] for one in first.json()["flags"]} == set(flags.evaluated({"userId": "ann"}))
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert of_another.status_code == 200
    assert of_another.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("path", [BULK, f"{BULK}/new_feature"])
def test_refused_credential_has_no_body(flags: FlagApi, path: str) -> None:
    without = flags.client.post(path, json=ANN)
    wrong = flags.client.post(path, json=ANN, headers=bearer("wk_wrong"))

    assert (without.status_code, without.content) == (401, b"")
    assert (wrong.status_code, wrong.content) == (401, b"")


def test_every_way_to_send_a_credential_is_taken(api: Api, flags: FlagApi) -> None:
    ways = [
        {"x-api-key": flags.write_key},
        {"x-write-key": flags.write_key},
        bearer(flags.write_key),
        bearer(token_for(api.settings, Role.VIEWER)),
    ]

    for headers in ways:
        assert flags.client.post(f"{BULK}/integer", json=ANN, headers=headers).status_code == 200


def test_page_of_another_site_may_ask(flags: FlagApi) -> None:
    site = {"origin": "https://shop.example"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key,if-none-match"}

    allowed = flags.client.options(BULK, headers=site | asked)
    answers = [posted(flags, BULK, **site), posted(flags, f"{BULK}/nothing", **site), posted(flags, BULK, b"{", **site)]

    assert {"x-api-key", "if-none-match"} <= set(allowed.headers["access-control-allow-headers"].split(", "))
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "etag" in answer.headers["access-control-expose-headers"]


def test_other_methods_are_refused_in_the_protocols_form(flags: FlagApi) -> None:
    answer = flags.client.get(BULK)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert answer.json()["errorCode"] == "GENERAL"
