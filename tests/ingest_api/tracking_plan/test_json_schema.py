"""The plan as JSON Schema, compared with what the check itself says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ingest_api.tracking_plan.json_schema import event_schema, plan_schema
from ingest_api.tracking_plan.plan import TrackingPlan, load_plan
from tests.ingest_api.tracking_plan.plans_given import EVERY_TYPE, plan_of

CLOSED = """
  - name: an / other~ event %
    description: An event that has these properties and no other.
    owner: tests@example.com
    mode: enforce
    unknown_properties: enforce
    properties:
      - {name: word, type: string, description: Text.}
"""
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    # A dollar in a pattern also matches before a line feed at the end for Python, which reads the schema here.
    | st.text(max_size=10).filter(lambda text: not text.endswith("\\n"))
    | st.sampled_from(
        ["S", "USD", "usd", "1", "-0.5", "1e9", "1.2.3", "2026-01-31", "2026-01-31T08:30:00Z", "2026-1-1"]
    )
    | st.sampled_from([0, 1, 1.0, 2, 3, 4, 0.5, 1.5, 1769848200, 1769848200000, 2**63 - 1, 2**63, -(2**63)])
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
NAMES = [
    "customer's word", "size", "code", "ratio", "item-count", "stars", "balance", "amount", "isMember", "paidAt",
    "basket", "tags", "word", "unplanned",
]  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TrackingPlan:
    return plan_of(tmp_path_factory.mktemp("plan"), EVERY_TYPE + CLOSED)


@pytest.fixture(scope="module")
def validator(plan: TrackingPlan) -> Draft202012Validator:
    schema = plan_schema(plan)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def event(name: str, properties: object = None, **members: object) -> dict[str, Any]:
    return {"eventName": name, "userId": "ann", "properties": properties, **members}


@settings(max_examples=1000)
@given(
    name=st.sampled_from(["everything", "an / other~ event %", "unplanned"]),
    properties=st.dictionaries(st.sampled_from(NAMES), VALUES),
    word=st.text(max_size=3),
)
@example(name="everything", properties={"amount": "49.90", "paidAt": "2026-01-31", "stars": 3.0}, word="")
def test_schema_and_check_agree(
    plan: TrackingPlan, validator: Draft202012Validator, name: str, properties: dict[str, Any], word: str
) -> None:
    # Required: without it most examples would be wrong for that reason alone.
    properties = {"customer's word": word, **properties} if name == "everything" else properties

    is_valid = validator.is_valid(event(name, properties))

    assert is_valid is (plan.check(name, json.dumps(properties)) == ())


@pytest.mark.parametrize(
    ("wrong", "is_valid"),
    [
        ({}, True),
        ({"userId": None, "anonymousId": "device"}, True),
        ({"userId": None}, False),
        ({"userId": ""}, False),
        ({"eventId": "x" * 201}, False),
        ({"timestamp": 1769848200000, "sentAt": "2026-01-31T08:30:00Z", "context": {}}, True),
        ({"context": []}, False),
        ({"properties": None}, True),
        ({"properties": []}, False),
        ({"eventName": 1}, False),
    ],
    ids=str,
)
def test_schema_describes_the_event_as_the_client_sends_it(
    validator: Draft202012Validator, wrong: dict[str, Any], is_valid: bool
) -> None:
    assert validator.is_valid(event("an / other~ event %", {"word": "x"}) | wrong) is is_valid


@pytest.mark.parametrize(("mode", "is_valid"), [("off", True), ("warn", False), ("enforce", False)])
def test_schema_takes_other_events_where_the_plan_does(tmp_path: Path, mode: str, is_valid: bool) -> None:
    plan = plan_of(tmp_path, settings=f"unknown_events: {mode}")

    schema = plan_schema(plan)

    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(event("surprise")) is is_valid


@pytest.mark.parametrize(("mode", "is_valid"), [("off", True), ("enforce", False)])
def test_schema_of_an_empty_plan_is_valid(tmp_path: Path, mode: str, is_valid: bool) -> None:
    plan = plan_of(tmp_path, events="  []", settings=f"unknown_events: {mode}")

    schema = plan_schema(plan)

    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(event("surprise")) is is_valid


def test_schema_of_one_event_stands_alone_and_tells_what_people_must_know(plan: TrackingPlan) -> None:
    schema = event_schema(plan.events["everything"])

    Draft202012Validator.check_schema(schema)
    assert schema["title"] == "everything"
    assert schema["description"] == "An event with a property of each type."
    assert schema["properties"]["properties"]["properties"]["amount"]["description"] == "An amount."
    assert "$ref" not in json.dumps(schema)


def test_schema_of_the_projects_own_plan_is_valid(project_root: Path) -> None:
    plan = load_plan(project_root / "dbt" / "tracking_plan")

    Draft202012Validator.check_schema(plan_schema(plan))
