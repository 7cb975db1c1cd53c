import json
from pathlib import Path

import pytest

from ingest_api.events.enrichment.countries import Countries
from ingest_api.events.enrichment.senders import Sender, Senders
from ingest_api.events.enrichment.user_agents import UserAgents
from ingest_api.events.intake import Intake
from ingest_api.events.payload import decode_batch
from ingest_api.events.reception import Received, rows_of, take_in
from ingest_api.tracking_plan.plan import load_plan
from warehouse.raw_events import RawEvent, RejectedEvent

_PLAN = """
version: 1
unknown_events: {unknown_events}
events:
  - name: order
    description: An order.
    owner: shop@example.com
    mode: {mode}
    unknown_properties: warn
    properties:
      - {{name: total, type: number, required: true, description: What it costs.}}
"""
_SENDER = Sender("203.0.113.0", "DE")


@pytest.fixture(scope="module")
def senders() -> Senders:
    return Senders(UserAgents(), Countries(None), "truncate", 0)


async def _received(directory: Path, senders: Senders, mode: str, *events: object, unknown: str = "off") -> Received:
    (directory / "plan.yml").write_text(_PLAN.format(mode=mode, unknown_events=unknown), encoding="utf-8")
    intake = Intake(load_plan(directory), senders)
    return await take_in(decode_batch(json.dumps({"events": events}).encode()), "web", intake, _SENDER)


def _order(**properties: object) -> dict[str, object]:
    return {"eventName": "order", "userId": "u1", "properties": properties}


@pytest.mark.parametrize("mode", ["off", "warn", "enforce"])
async def test_event_that_is_as_planned_is_accepted_without_a_word(tmp_path: Path, senders: Senders, mode: str) -> None:
    received = await _received(tmp_path, senders, mode, _order(total=5))

    [row] = received.accepted
    assert (row.warnings, received.notices) == ((), {})
    assert (row.ip, row.country, row.source) == ("203.0.113.0", "DE", "web")


async def test_event_that_breaks_the_plan_is_accepted_with_warnings_when_the_plan_only_warns(
    tmp_path: Path, senders: Senders
) -> None:
    received = await _received(tmp_path, senders, "warn", _order(total="5", colour="red"))

    [row] = received.accepted
    assert row.warnings == ("plan_property_wrong_type", "plan_property_unknown")
    assert [(one.code, one.field) for one in received.notices[0]] == [
        ("plan_property_wrong_type", "properties.total"),
        ("plan_property_unknown", "properties.colour"),
    ]


async def test_event_that_breaks_the_plan_is_rejected_when_the_plan_is_enforced(
    tmp_path: Path, senders: Senders
) -> None:
    received = await _received(tmp_path, senders, "enforce", _order(), _order(total=1, colour="red"), _order(total=1))

    missing, unknown, good = received.outcomes
    assert isinstance(missing, RejectedEvent)
    assert (missing.code, missing.field, missing.event_name) == ("plan_property_missing", "properties.total", "order")
    assert isinstance(unknown, RawEvent)
    assert unknown.warnings == ("plan_property_unknown",)
    assert isinstance(good, RawEvent)
    assert received.notices.keys() == {1}


@pytest.mark.parametrize(("unknown", "accepted"), [("off", True), ("warn", True), ("enforce", False)])
async def test_event_that_is_not_planned_is_treated_as_the_plan_says(
    tmp_path: Path, senders: Senders, unknown: str, accepted: bool
) -> None:
    event = {"eventName": "surprise", "userId": "u1"}

    received = await _received(tmp_path, senders, "off", event, unknown=unknown)

    assert bool(received.accepted) == accepted
    assert (received.notices != {}) == (unknown == "warn")


async def test_rows_are_lines_of_both_tables(tmp_path: Path, senders: Senders) -> None:
    received = await _received(tmp_path, senders, "off", _order(), 3, _order())

    rows = rows_of(received.accepted, received.rejected)

    assert (rows.event_count, rows.events.count(b"\n"), rows.rejected_events.count(b"\n")) == (2, 2, 1)
    assert json.loads(rows.rejected_events)["payload"] == "3"
