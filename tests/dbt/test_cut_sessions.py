"""Sessions that end at midnight and at another campaign: increments, a full refresh and a plain count agree."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import Client, connect

SETTINGS = {"session_split_at_midnight": True, "session_split_on_campaign_change": True}
START = datetime(2026, 1, 31, 20, tzinfo=UTC)
STEPS_SECONDS = (*(1700, 1800, 1799.999) * 10, 0, 1, 300, 1800.001)
"""Rarely more than the silence that ends a run, so that runs last for days."""

SENDERS = (("ann", ""), ("bob", ""), ("", "phone"))
"""The phone turns out to be ann's."""

COLUMNS = ("event_id", "event_name", "user_id", "anonymous_id", "occurred_at", "received_at", "properties")


@dataclass(frozen=True, slots=True, order=True)
class Event:
    occurred_at: datetime
    event_id: str
    sender: tuple[str, str]
    page: str = ""
    campaign: str = ""

    def row(self) -> list[object]:
        properties = json.dumps({"page": self.page, "utm_source": self.campaign})
        return [self.event_id, "page_view", *self.sender, self.occurred_at, START + timedelta(days=9), properties]


def random_events(count: int, seed: int) -> list[Event]:
    """Long runs over many midnights, in no order."""
    chance = random.Random(seed)
    moments = dict.fromkeys(SENDERS, START)
    events = []
    for number in range(count):
        sender = chance.choice(SENDERS)
        moments[sender] += timedelta(seconds=chance.choice(STEPS_SECONDS))
        page, campaign = chance.choice(("", "/a")), chance.choice(("", "", "", "x", "y"))
        events.append(Event(moments[sender], f"e{number:03}", sender, page, campaign))
    chance.shuffle(events)
    return events


def sessions_of(events: Iterable[Event]) -> Iterator[tuple[str, datetime, datetime, int]]:
    """Visitor, begin, end and number of events of each session, when the phone is known to be ann's."""
    visitors = defaultdict(list)
    for event in sorted(events):
        visitors[event.sender[0] or "ann"].append(event)
    for visitor, told in visitors.items():
        session: list[Event] = []
        campaign, has_begun = "", False
        for event in told:
            if session:
                last = session[-1].occurred_at
                is_run_over = event.occurred_at - last > timedelta(minutes=30)
                is_other_campaign = event.campaign not in ("", campaign) and has_begun and event.occurred_at > last
                if is_run_over or is_other_campaign or event.occurred_at.date() != last.date():
                    yield visitor, session[0].occurred_at, last, len(session)
                    session = []
                if is_run_over:
                    campaign, has_begun = "", False
            session.append(event)
            campaign, has_begun = event.campaign or campaign, bool(has_begun or event.page or event.campaign)
        yield visitor, session[0].occurred_at, session[-1].occurred_at, len(session)


@pytest.fixture
def dbt(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    return Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("cut"), SETTINGS)


@pytest.fixture
def client(dbt: Dbt) -> Iterator[Client]:
    client = connect(dbt.settings)
    yield client
    client.close()


def stored(dbt: Dbt, client: Client) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The mart, and the state that it is made of."""
    marts, states = dbt.settings.database("marts"), dbt.settings.database("intermediate")
    mart = client.query(f"SELECT visitor_id, started_at, ended_at, event_count FROM `{marts}`.sessions")
    state = client.query(f"SELECT * EXCEPT _version FROM `{states}`.int_sessions FINAL ORDER BY ALL")
    return sorted(mart.result_rows), list(state.result_rows)


def test_cut_sessions_end_up_the_same_whatever_arrives_when(dbt: Dbt, client: Client) -> None:
    told = random_events(500, seed=9)
    # It prolongs a run of three days, most of which lies far from the day that it touches.
    last = max(event for event in told if event.sender == ("ann", ""))
    events = [event for event in told if event != last]
    sign_up = Event(START - timedelta(days=3), "sign_up", ("ann", "phone"))
    dbt("seed")

    for batch in (events[:400], events[400:460], [*events[460:], sign_up], [last]):
        client.insert(
            "events", [event.row() for event in batch], column_names=COLUMNS, database=dbt.settings.database("raw")
        )
        dbt("run", "--select", "+sessions")
    sessions, state = stored(dbt, client)

    dbt("run", "--full-refresh", "--select", "+sessions")
    assert stored(dbt, client) == (sessions, state)
    assert sessions == sorted(sessions_of([*told, sign_up]))
