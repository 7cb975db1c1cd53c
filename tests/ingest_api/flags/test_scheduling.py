"""Changes that are made by the clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ingest_api.auth.roles import Role
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.conftest import FLAGS
from tests.ingest_api.flags.definitions_given import created, value_of
from tests.ingest_api.serving import api_settings, bearer, seconds_until, serving, token_for


def scheduled(api: Api, patch: dict[str, Any], seconds: float, **more: Any) -> httpx.Response:
    due_at = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    body = {"dueAt": due_at, "patch": patch, **more}
    return api.client.post(f"{FLAGS}/dark_mode/scheduled-changes", json=body)


def waiting(api: Api) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.client.get(f"{FLAGS}/dark_mode/scheduled-changes").json()["items"]
    return items


def test_a_change_is_made_when_it_is_due_and_once(flags: Api) -> None:
    version = created(flags.client)["version"]

    answer = scheduled(flags, {"isEnabled": False}, 1, comment="after the sale")

    assert answer.status_code == 201, answer.text
    assert waiting(flags) == [answer.json()]
    assert value_of(flags.client) is True
    with serving(api_settings(flags.settings.redis_url), flags.warehouse_settings):  # a second clock
        seconds_until(lambda: value_of(flags.client) is False)
        seconds_until(lambda: waiting(flags) == [])
    flag = flags.client.get(f"{FLAGS}/dark_mode").json()
    assert (flag["version"], flag["updatedBy"]) == (version + 1, "alice")
    newest = flags.client.get(f"{FLAGS}/dark_mode/history").json()["items"][0]
    assert (newest["action"], newest["comment"]) == ("scheduled", "after the sale")


def test_a_change_that_cannot_be_made_any_more_is_noted_and_not_tried_again(flags: Api) -> None:
    created(flags.client, "new_ui")
    created(flags.client)
    scheduled(flags, {"prerequisites": [{"flag": "new_ui"}]}, 1.5)
    flags.client.delete(f"{FLAGS}/new_ui")

    seconds_until(lambda: waiting(flags)[0]["failure"] != "")

    [failed] = waiting(flags)
    assert "new_ui" in failed["failure"]
    assert flags.client.get(f"{FLAGS}/dark_mode").json()["prerequisites"] == []


def test_waiting_changes_are_listed_by_time_and_can_be_given_up(flags: Api) -> None:
    created(flags.client)
    late, early = (scheduled(flags, {"isEnabled": False}, seconds).json() for seconds in (900, 600))
    assert waiting(flags) == [early, late]

    answer = flags.client.delete(f"{FLAGS}/dark_mode/scheduled-changes/{early['id']}")

    assert answer.status_code == 204
    assert waiting(flags) == [late]
    again = flags.client.delete(f"{FLAGS}/dark_mode/scheduled-changes/{early['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "scheduled_change_not_found")


def test_a_deleted_flag_takes_what_waits_for_it_along(flags: Api) -> None:
    created(flags.client)
    scheduled(flags, {"isEnabled": False}, 900)

    flags.client.delete(f"{FLAGS}/dark_mode")
    created(flags.client)

    assert waiting(flags) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dueAt": "2020-01-01T00:00:00Z", "patch": {}}, "dueAt"),
        ({"dueAt": "2100-01-01T00:00:00", "patch": {}}, "dueAt"),
        ({"dueAt": "soon", "patch": {}}, "dueAt"),
        ({"dueAt": "2100-01-01T00:00:00Z", "patch": {"colour": "blue"}}, "colour"),
        ({"dueAt": "2100-01-01T00:00:00Z", "patch": {"version": 1}}, "patch.version"),
        ({"dueAt": "2100-01-01T00:00:00Z", "patch": {"key": "other"}}, "key"),
        ({"dueAt": "2100-01-01T00:00:00Z"}, "patch"),
        ({"dueAt": "2100-01-01T00:00:00Z", "patch": {}, "colour": "blue"}, "colour"),
    ],
)
def test_what_could_not_be_made_is_not_scheduled(flags: Api, body: dict[str, Any], field: str) -> None:
    created(flags.client)

    answer = flags.client.post(f"{FLAGS}/dark_mode/scheduled-changes", json=body)

    assert answer.status_code == 400, answer.text
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_a_viewer_schedules_nothing(flags: Api) -> None:
    created(flags.client)
    viewer = bearer(token_for(flags.settings, Role.VIEWER))

    answer = flags.client.post(f"{FLAGS}/dark_mode/scheduled-changes", json={}, headers=viewer)

    assert answer.status_code == 403
