"""Answers that are given again: as long as they hold, and no longer."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.flags.all_kinds_given import SEGMENTS, every_flag
from tests.flags.flags_given import flag, people
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.clients_given import FlagApi, flag_api
from tests.ingest_api.serving import bearer, seconds_until


@pytest.fixture
def flags(api: Api) -> FlagApi:
    return flag_api(api)


def asked(flags: FlagApi, body: dict[str, Any], **headers: str) -> httpx.Response:
    own = bearer(flags.write_key) | headers
    return flags.client.post("/api/feature-flags/evaluate", headers=own, json=body)


def test_second_answer_is_the_first_one(flags: FlagApi) -> None:
    flags.apply(*(one for one in every_flag() if one.key != "sticky"), *SEGMENTS)

    for attributes in people(50):
        bodies = [
            {"attributes": attributes},
            {"attributes": attributes, "keys": ["rules", "odd", "first", "needs", "json"]},
        ]
        first = [asked(flags, one) for one in bodies]
        again = [asked(flags, one) for one in bodies]
        assert [one.content for one in again] == [one.content for one in first]
        assert [one.headers["etag"] for one in again] == [one.headers["etag"] for one in first]
        assert asked(flags, bodies[0], **{"if-none-match": again[0].headers["etag"]}).status_code == 304
        assert list(again[1].json()["flags"]) == bodies[1]["keys"]


def test_answer_follows_an_edit_at_once(flags: FlagApi) -> None:
    flags.apply(flag("text", type="string", value="0"))

    for number in range(1, 20):
        asked(flags, {"userId": "ann"})
        flags.client.patch("/api/feature-flags/flags/text", headers=flags.editor, json={"value": str(number)})
        assert asked(flags, {"userId": "ann"}).json()["flags"]["text"]["value"] == str(number)


def test_answer_follows_a_schedule(flags: FlagApi) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    flags.apply(flag("later", schedule={"validFrom": soon.isoformat()}))

    while datetime.now(UTC) < soon - timedelta(milliseconds=100):
        assert asked(flags, {"userId": "ann"}).json()["flags"]["later"]["value"] is False
        time.sleep(0.05)
    seconds_until(lambda: datetime.now(UTC) >= soon)

    assert asked(flags, {"userId": "ann"}).json()["flags"]["later"]["value"] is True


def test_sticky_assignments_are_asked_for_each_time(flags: FlagApi) -> None:
    rule = {"id": "r", "variations": ["a", "b"], "sticky": True}
    flags.apply(flag("sticky", type="string", defaultValue="-", rules=[rule]))
    before = [asked(flags, {"userId": f"u{one}"}).json()["flags"]["sticky"]["value"] for one in range(40)]

    flags.apply(flag("sticky", type="string", defaultValue="-", rules=[rule | {"weights": [0, 1]}]))
    after = [asked(flags, {"userId": f"u{one}"}).json()["flags"]["sticky"]["value"] for one in range(40)]

    assert after == before
    assert set(before) == {"a", "b"}
