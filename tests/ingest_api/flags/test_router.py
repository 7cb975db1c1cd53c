"""Flags and segments over HTTP."""

import base64
from typing import Any

import pytest

from ingest_api.auth.roles import Role
from ingest_api.errors import PROBLEM_MEDIA_TYPE
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.conftest import FLAGS, SEGMENTS
from tests.ingest_api.flags.definitions_given import (
    BETA,
    CUSTOMERS_FLAG,
    created,
    created_segment,
    for_segment,
    value_of,
)
from tests.ingest_api.serving import bearer, token_for

BY_SERVICE = {"version", "createdAt", "createdBy", "updatedAt", "updatedBy"}


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    document: dict[str, Any] = answer.json()
    return document


def test_the_customers_flag_is_created_as_it_is_sent(flags: Api) -> None:
    answer = flags.client.post(FLAGS, json=CUSTOMERS_FLAG)

    assert answer.status_code == 201
    assert answer.json() | CUSTOMERS_FLAG == answer.json()
    assert answer.json()["updatedBy"] == "alice"
    assert flags.client.get(f"{FLAGS}/new_feature").json() == answer.json()


def test_the_author_of_a_flag_is_the_token_where_the_body_names_none(flags: Api) -> None:
    assert created(flags.client)["createdBy"] == "alice"


def test_a_key_can_be_taken_once(flags: Api) -> None:
    created(flags.client)

    answer = flags.client.post(FLAGS, json={"key": "dark_mode", "name": "Another"})

    assert problem(answer, 409)["code"] == "key_taken"
    assert flags.client.get(f"{FLAGS}/dark_mode").json()["name"] == "dark_mode"


def test_no_flag_can_have_the_address_of_something_else(flags: Api) -> None:
    answer = flags.client.post(FLAGS, json={"key": "stale", "name": "Stale"})

    assert problem(answer, 400)["errors"][0] | {"message": ""} == {"field": "key", "code": "not_allowed", "message": ""}


def test_everything_that_is_wrong_is_said_at_once(flags: Api) -> None:
    body = {
        "key": "no key",
        "type": "number",
        "value": "seven",
        "rolloutPercentage": 101,
        "colour": "blue",
        "conditions": [{"attribute": "country", "operator": "like", "value": "U"}],
    }

    refused = problem(flags.client.post(FLAGS, json=body), 400)

    assert refused["code"] == "definition_invalid"
    assert {(one["field"], one["code"]) for one in refused["errors"]} == {
        ("key", "not_allowed"),
        ("value", "wrong_value_type"),
        ("value", "field_missing"),
        ("rolloutPercentage", "out_of_range"),
        ("colour", "field_unknown"),
        ("conditions[0].operator", "operator_unknown"),
    }


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff", b"[" * 5000])
def test_a_body_that_is_no_definition_is_refused(flags: Api, body: bytes) -> None:
    assert problem(flags.client.post(FLAGS, content=body), 400)["code"] == "definition_invalid"


def test_an_unknown_flag_is_not_found_by_any_route(flags: Api) -> None:
    asked = [
        ("GET", "", None),
        ("PUT", "", {"name": "n", "version": 1}),
        ("PATCH", "", {"name": "n"}),
        ("DELETE", "", None),
        ("POST", "/evaluate", {}),
        ("POST", "/explain", {}),
        ("GET", "/history", None),
        ("POST", "/revert", {"toVersion": 1}),
        ("GET", "/scheduled-changes", None),
        ("POST", "/scheduled-changes", {"dueAt": "2100-01-01T00:00:00Z", "patch": {}}),
    ]

    for method, path, body in asked:
        answer = flags.client.request(method, f"{FLAGS}/nobody{path}", json=body)
        assert problem(answer, 404)["code"] in ("flag_not_found", "version_not_found"), (method, path)


def test_put_replaces_the_whole_flag(flags: Api) -> None:
    made = created(flags.client, tags=["checkout"], owner="ada", createdBy="admin")
    body = {"name": "Dark", "type": "string", "value": "a", "defaultValue": "b", "version": made["version"]}

    answer = flags.client.put(f"{FLAGS}/dark_mode", json=body)

    assert answer.status_code == 200, answer.text
    changed = body | {"version": made["version"] + 1, "tags": [], "owner": ""}
    assert answer.json() | changed == answer.json()
    assert (answer.json()["createdBy"], answer.json()["createdAt"]) == ("admin", made["createdAt"])


def test_what_was_read_can_be_put_back(flags: Api) -> None:
    read = created(flags.client, conditions=[{"attribute": "country", "operator": "equals", "value": "US"}])

    answer = flags.client.put(f"{FLAGS}/dark_mode", json=read | {"name": "Dark"})

    assert answer.status_code == 200, answer.text
    changed = {"version": read["version"] + 1, "name": "Dark", "updatedAt": answer.json()["updatedAt"]}
    assert answer.json() == read | changed


def test_put_needs_the_version_that_was_read(flags: Api) -> None:
    created(flags.client)

    refused = problem(flags.client.put(f"{FLAGS}/dark_mode", json={"name": "Dark"}), 400)

    assert [(one["field"], one["code"]) for one in refused["errors"]] == [("version", "field_missing")]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_of_what_was_changed_meanwhile_is_a_conflict(flags: Api, method: str) -> None:
    version = created(flags.client)["version"]
    flags.client.patch(f"{FLAGS}/dark_mode", json={"name": "Meanwhile"})
    sent = {"params": {"version": version}} if method == "DELETE" else {"json": {"name": "Late", "version": version}}

    answer = flags.client.request(method, f"{FLAGS}/dark_mode", **sent)

    assert problem(answer, 409)["code"] == "version_stale"
    assert flags.client.get(f"{FLAGS}/dark_mode").json()["name"] == "Meanwhile"


@pytest.mark.parametrize("version", ["1", 1.5, True])
def test_a_version_is_a_whole_number(flags: Api, version: Any) -> None:
    created(flags.client)

    answer = flags.client.patch(f"{FLAGS}/dark_mode", json={"version": version})

    assert problem(answer, 400)["errors"][0]["field"] == "version"


def test_patch_changes_what_it_names_and_removes_what_is_null(flags: Api) -> None:
    made = created(flags.client, tags=["checkout"], owner="ada", rolloutPercentage=10)

    answer = flags.client.patch(f"{FLAGS}/dark_mode", json={"rolloutPercentage": 20, "owner": None})

    assert answer.status_code == 200, answer.text
    changed = {
        "rolloutPercentage": 20,
        "owner": "",
        "version": made["version"] + 1,
        "updatedAt": answer.json()["updatedAt"],
    }
    assert answer.json() == made | changed


def test_a_key_cannot_be_changed(flags: Api) -> None:
    created(flags.client)

    patched = problem(flags.client.patch(f"{FLAGS}/dark_mode", json={"key": "light_mode"}), 400)
    replaced = problem(flags.client.put(f"{FLAGS}/dark_mode", json={"key": "light_mode", "version": 1}), 400)

    assert [one["errors"][0]["field"] for one in (patched, replaced)] == ["key", "key"]


def test_a_deleted_flag_is_gone_and_its_versions_are_not_used_again(flags: Api) -> None:
    version = created(flags.client)["version"]

    deleted = flags.client.delete(f"{FLAGS}/dark_mode", params={"version": version, "comment": "done"})

    assert (deleted.status_code, deleted.content) == (204, b"")
    problem(flags.client.get(f"{FLAGS}/dark_mode"), 404)
    problem(flags.client.post(f"{FLAGS}/dark_mode/evaluate", json={}), 404)
    assert created(flags.client)["version"] == version + 2


def test_flags_are_listed_by_key_and_filtered(flags: Api) -> None:
    created(flags.client, "b_banner", type="string", value="x", tags=["shop"], description="The BIG one")
    created(flags.client, "a_cart", tags=["shop", "cart"], isEnabled=False)
    created(flags.client, "c_search", name="Grand search")

    def listed(**query: Any) -> list[str]:
        return [one["key"] for one in flags.client.get(FLAGS, params=query).json()["items"]]

    assert listed() == ["a_cart", "b_banner", "c_search"]
    assert listed(tag="shop") == ["a_cart", "b_banner"]
    assert listed(type="string") == ["b_banner"]
    assert listed(enabled="false") == ["a_cart"]
    assert listed(text="big") == ["b_banner"]
    assert listed(text="GRAND") == ["c_search"]
    assert listed(tag="shop", enabled="true") == ["b_banner"]
    assert listed(tag="nobody") == []


def test_flags_are_listed_in_pages(flags: Api) -> None:
    keys = [f"flag_{number}" for number in range(5)]
    for key in reversed(keys):
        created(flags.client, key)

    seen, query = [], {"limit": 2}
    while True:
        page = flags.client.get(FLAGS, params=query).json()
        seen.append([one["key"] for one in page["items"]])
        if page["nextCursor"] is None:
            break
        query = {"limit": 2, "cursor": page["nextCursor"]}

    assert seen == [keys[:2], keys[2:4], keys[4:]]


@pytest.mark.parametrize("query", [{"cursor": "%%%"}, {"limit": 0}, {"colour": "blue"}, {"type": "list"}])
def test_a_list_refuses_what_it_does_not_understand(flags: Api, query: dict[str, str]) -> None:
    refused = problem(flags.client.get(FLAGS, params=query), 400)

    assert refused["errors"][0]["field"] == next(iter(query))


def test_a_cursor_that_is_no_text_is_refused(flags: Api) -> None:
    cursor = base64.urlsafe_b64encode(b"\xff\xfe").decode()

    problem(flags.client.get(FLAGS, params={"cursor": cursor}), 400)


def test_segments_are_created_changed_listed_and_deleted(flags: Api) -> None:
    made = created_segment(flags.client)
    assert {name: value for name, value in made.items() if name not in BY_SERVICE} == BETA | {"description": ""}

    version = made["version"]
    replaced = flags.client.put(f"{SEGMENTS}/beta", json=BETA | {"name": "Testers", "version": version})
    patched = flags.client.patch(f"{SEGMENTS}/beta", json={"description": "Who tries first", "version": version + 1})

    assert (replaced.status_code, patched.status_code) == (200, 200)
    changed = {"name": "Testers", "description": "Who tries first", "version": version + 2}
    assert patched.json() | changed == patched.json()
    assert flags.client.get(SEGMENTS).json() == {"items": [patched.json()], "nextCursor": None}
    assert flags.client.delete(f"{SEGMENTS}/beta").status_code == 204
    assert problem(flags.client.get(f"{SEGMENTS}/beta"), 404)["code"] == "segment_not_found"


def test_a_change_of_a_segment_changes_the_flags_for_it(flags: Api) -> None:
    created_segment(flags.client)
    created(flags.client, rules=for_segment("beta"))
    assert (value_of(flags.client, plan="beta"), value_of(flags.client, plan="pro")) == (True, False)

    conditions = [{"attribute": "plan", "operator": "equals", "value": "pro"}]
    flags.client.patch(f"{SEGMENTS}/beta", json={"conditions": conditions})

    assert (value_of(flags.client, plan="beta"), value_of(flags.client, plan="pro")) == (False, True)


def test_what_a_flag_needs_cannot_be_deleted(flags: Api) -> None:
    created_segment(flags.client)
    created(flags.client, "new_ui")
    created(flags.client, rules=for_segment("beta"), prerequisites=[{"flag": "new_ui"}])

    for path in (f"{SEGMENTS}/beta", f"{FLAGS}/new_ui"):
        refused = problem(flags.client.delete(path), 409)
        assert refused["code"] == "in_use"
        assert "dark_mode" in refused["detail"]

    assert flags.client.delete(f"{FLAGS}/dark_mode").status_code == 204
    assert flags.client.delete(f"{SEGMENTS}/beta").status_code == 204


def test_a_flag_cannot_refer_to_what_is_not_there(flags: Api) -> None:
    body = {"key": "dark_mode", "rules": for_segment("nobody"), "prerequisites": [{"flag": "nothing"}]}

    refused = problem(flags.client.post(FLAGS, json=body), 400)

    assert {(one["field"], one["code"]) for one in refused["errors"]} == {
        ("rules[0].segments[0]", "segment_unknown"),
        ("prerequisites[0].flag", "flag_unknown"),
    }


def test_flags_cannot_need_each_other(flags: Api) -> None:
    created(flags.client, "a")
    created(flags.client, "b", prerequisites=[{"flag": "a"}])
    created(flags.client, "c", prerequisites=[{"flag": "b"}])

    refused = problem(flags.client.patch(f"{FLAGS}/a", json={"prerequisites": [{"flag": "c"}]}), 400)

    assert [one["code"] for one in refused["errors"]] == ["prerequisite_cycle"]
    assert "a -> c -> b -> a" in refused["detail"]


def test_explain_says_of_each_rule_why(flags: Api) -> None:
    created_segment(flags.client)
    rules = [
        {"id": "usa", "conditions": [{"attribute": "country", "operator": "equals", "value": "US"}], "force": True},
        *for_segment("beta"),
    ]
    created(flags.client, rules=rules)

    asked = {"userId": "u1", "attributes": {"country": "DE", "plan": "beta"}}
    answer = flags.client.post(f"{FLAGS}/dark_mode/explain", json=asked).json()

    assert (answer["value"], answer["reason"], answer["ruleId"]) == (True, "TARGETING_MATCH", "beta")
    assert [(one["ruleId"], one["matched"], one["decisive"]) for one in answer["rules"]] == [
        ("usa", False, False),
        ("beta", True, True),
    ]
    assert all(one["why"] for one in answer["rules"])


def test_a_viewer_reads_and_evaluates_and_does_not_change(flags: Api) -> None:
    created(flags.client)
    viewer = bearer(token_for(flags.settings, Role.VIEWER))

    assert flags.client.get(f"{FLAGS}/dark_mode", headers=viewer).status_code == 200
    assert flags.client.post(f"{FLAGS}/dark_mode/evaluate", json={}, headers=viewer).status_code == 200
    refused = problem(flags.client.patch(f"{FLAGS}/dark_mode", json={}, headers=viewer), 403)
    assert "flags:write" in refused["detail"]


def test_pages_of_other_origins_may_change_definitions_with_a_token(flags: Api) -> None:
    asked = {
        "origin": "https://shop.example",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,content-type,if-none-match,x-api-key",
    }

    answer = flags.client.options(f"{FLAGS}/dark_mode", headers=asked)

    assert answer.status_code == 200
    assert {"PUT", "PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
