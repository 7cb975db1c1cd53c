import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ingest_api.errors import InputInvalid, StreamAway
from ingest_api.events.enrichment.countries import Countries
from ingest_api.events.enrichment.senders import UNKNOWN_SENDER, Senders
from ingest_api.events.enrichment.user_agents import UserAgents
from ingest_api.events.intake import Intake
from ingest_api.events.singles import Singles
from ingest_api.events.stream import open_event_stream
from ingest_api.metrics import IngestMetrics
from ingest_api.raw_answers import Answer, Asked
from ingest_api.tracking_plan.plan import TrackingPlan
from tests.conftest import Valkey
from tests.ingest_api.events.conftest import Server
from tests.ingest_api.events.events_given import GIBIBYTE


@pytest.fixture(scope="module")
def intake() -> Intake:
    return Intake(TrackingPlan({}, {}, "off"), Senders(UserAgents(), Countries(None), "truncate", 0))


@asynccontextmanager
async def _singles(url: str, environment: str, intake: Intake, appends: list[int]) -> AsyncIterator[Singles]:
    async with open_event_stream(url, environment, GIBIBYTE, lambda events, _: appends.append(events)) as stream:
        yield Singles(intake, stream, IngestMetrics())


def _asked(body: bytes) -> Asked:
    return Asked("", body, {}, "web", UNKNOWN_SENDER)


def _event(event_id: str, **more: Any) -> bytes:
    return json.dumps({"eventName": "a", "userId": "u", "eventId": event_id, **more}).encode()


async def test_events_of_one_turn_are_appended_as_one(valkey: Valkey, environment: str, intake: Intake) -> None:
    appends: list[int] = []
    async with _singles(valkey.url, environment, intake, appends) as singles:
        answers = await asyncio.gather(*(singles.take_in(_asked(_event(f"e{n}"))) for n in range(50)))

    assert [json.loads(answer.body) for answer in answers] == [
        {"status": "accepted", "eventId": f"e{n}"} for n in range(50)
    ]
    assert appends == [50]


async def test_each_request_gets_its_own_answer(valkey: Valkey, environment: str, intake: Intake) -> None:
    bodies = [_event("good"), b"{", _event("rejected", userId=""), _event("odd", more=1)]
    appends: list[int] = []
    async with _singles(valkey.url, environment, intake, appends) as singles:
        good, unreadable, rejected, odd = await asyncio.gather(
            *(singles.take_in(_asked(body)) for body in bodies), return_exceptions=True
        )

    assert isinstance(good, Answer)
    assert json.loads(good.body) == {"status": "accepted", "eventId": "good"}
    assert isinstance(unreadable, InputInvalid)
    assert unreadable.code == "json_invalid"
    assert isinstance(rejected, InputInvalid)
    assert (rejected.code, bool(rejected.errors[0].rejection_id)) == ("identity_missing", True)
    assert isinstance(odd, Answer)
    assert [warning["code"] for warning in json.loads(odd.body)["warnings"]] == ["unknown_field"]
    assert appends == [2]


async def test_one_turn_takes_a_mebibyte_at_most(valkey: Valkey, environment: str, intake: Intake) -> None:
    bodies = [_event(f"e{n}", properties={"text": "x" * 60_000}) for n in range(60)]
    appends: list[int] = []
    async with _singles(valkey.url, environment, intake, appends) as singles:
        waiting = [singles.take_in(_asked(body)) for body in bodies]
        await asyncio.sleep(0)
        undone = len(singles._waiting)
        await asyncio.gather(*waiting)

    assert 60 - 18 <= undone < 60
    assert sum(appends) == 60


async def test_request_that_was_cancelled_costs_the_others_nothing(
    valkey: Valkey, environment: str, intake: Intake
) -> None:
    async with _singles(valkey.url, environment, intake, []) as singles:
        waiting = [singles.take_in(_asked(_event(f"e{n}"))) for n in range(3)]
        waiting[1].cancel()

        first, _, last = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(first, Answer)
    assert isinstance(last, Answer)


async def test_every_request_hears_that_the_stream_is_away(server: Server, environment: str, intake: Intake) -> None:
    async with _singles(server.url, environment, intake, []) as singles:
        server.kill()

        answers = await asyncio.gather(
            *(singles.take_in(_asked(_event(f"e{n}"))) for n in range(3)), return_exceptions=True
        )

    assert [type(answer) for answer in answers] == [StreamAway] * 3
