"""`GET /api/analytics/schema` on the running API."""

import httpx
import pytest
from jsonschema import Draft202012Validator

from ingest_api.auth.roles import Role
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import bearer, token_for, write_key_for


@pytest.fixture
def headers(api: Api) -> dict[str, str]:
    return bearer(token_for(api.settings, Role.VIEWER))


def schema(api: Api, headers: dict[str, str], **query: str) -> httpx.Response:
    return api.client.get("/api/analytics/schema", headers=headers, params=query)


def test_schema_is_that_of_the_whole_plan(api: Api, headers: dict[str, str]) -> None:
    response = schema(api, headers)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/schema+json"
    document = response.json()
    Draft202012Validator.check_schema(document)
    assert {"page_view", "purchase", "refund"} <= document["$defs"].keys()


def test_schema_of_one_event_is_served_by_its_name(api: Api, headers: dict[str, str]) -> None:
    response = schema(api, headers, event="purchase")

    document = response.json()
    assert document["properties"]["eventName"] == {"const": "purchase"}
    validator = Draft202012Validator(document)
    assert validator.is_valid({"eventName": "purchase", "userId": "ann", "properties": {"revenue": "49.90"}})
    assert not validator.is_valid({"eventName": "purchase", "userId": "ann", "properties": {"revenue": "much"}})


def test_schema_of_an_event_that_is_not_planned_is_not_found(api: Api, headers: dict[str, str]) -> None:
    response = schema(api, headers, event="surprise")

    assert (response.status_code, response.json()["code"]) == (404, "event_not_planned")


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_schema_is_not_sent_again_to_who_has_it(api: Api, headers: dict[str, str], form: str) -> None:
    tag = schema(api, headers).headers["etag"]

    response = schema(api, headers | {"if-none-match": form.format(tag)})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == tag


def test_schema_is_sent_to_who_has_another(api: Api, headers: dict[str, str]) -> None:
    tag = schema(api, headers, event="purchase").headers["etag"]

    response = schema(api, headers | {"if-none-match": tag})

    assert response.status_code == 200
    assert response.headers["etag"] != tag


def test_schema_is_open_to_write_keys(api: Api) -> None:
    key, _ = write_key_for(api.settings, api.environment)

    response = schema(api, {"x-write-key": key})

    assert response.status_code == 200
