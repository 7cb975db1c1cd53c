"""The plan that comes with the project, against the events that come with the project."""

import json
from datetime import date
from pathlib import Path

import msgspec
import pytest

from ingest_api.events.openapi import BATCH_EXAMPLE, TRACK_EXAMPLE
from ingest_api.tracking_plan.plan import TrackingPlan, load_plan
from local_stack.demo_data import shop_day


@pytest.fixture
def plan(project_root: Path) -> TrackingPlan:
    return load_plan(project_root / "dbt" / "tracking_plan")


def test_events_of_the_demo_are_planned_and_as_planned(plan: TrackingPlan) -> None:
    events = [event for day in (1, 2, 3) for event in shop_day(date(2026, 1, day), 3000)]

    violations = {
        (event.event_name, one)
        for event in events
        for one in plan.check(event.event_name, msgspec.json.encode(event.properties).decode())
    }

    assert violations == set()
    assert {event.event_name for event in events} == {name for name, file in plan.files.items() if file == "shop.yml"}


def test_examples_of_the_reference_are_as_planned(plan: TrackingPlan) -> None:
    examples = [TRACK_EXAMPLE, *BATCH_EXAMPLE["events"]]

    for example in examples:
        assert plan.mode(example["eventName"]) == "warn"
        assert plan.check(example["eventName"], json.dumps(example["properties"])) == ()


def test_purchase_without_an_amount_is_told(plan: TrackingPlan) -> None:
    (violation,) = plan.check("purchase", '{"order_id": "1001"}')

    assert (violation.code, violation.field) == ("plan_property_missing", "properties.revenue")
    assert not violation.refuses
