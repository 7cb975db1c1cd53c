"""Events against their plan."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.tracking_plan.checking import MAX_VIOLATIONS, EventCheck
from ingest_api.tracking_plan.declarations import LONGEST_MATCHED_TEXT
from ingest_api.tracking_plan.plan import TrackingPlan, Violation
from tests.ingest_api.tracking_plan.plans_given import plan_of
from warehouse.raw_events import FRESHNESS_PROBE

GOOD = {
    "size": ["S", "off"],
    "code": ["USD"],
    "ratio": [0, 1, 0.5],
    "item-count": [1, 2**63 - 1, 3.0],
    "stars": [3, 3.0],
    "balance": [-(2**63), 0],
    "amount": [1, -0.5, "49.90", "+1.", "1e9", "00.10"],
    "isMember": [True, False],
    "paidAt": ["2026-01-31", "2026-01-31T08:30:00Z", "2026-01-31 08:30", "2026-01-31T08:30:00.123+0200", 1769848200000],
    "basket": [{}, {"a": [1]}],
    "tags": [[], [1, "x"]],
}
WRONG = {
    "plan_property_wrong_type": {
        "customer's word": [1, True, {}, []],
        "size": [1],
        "code": [1],
        "ratio": ["0.5", True],
        "item-count": ["1", 1.5, True],
        "amount": ["", "12.3.4", " 1", "1\n", "nan", "0x10", "1_000", True, {}],
        "isMember": [0, "true"],
        "paidAt": ["yesterday", "31.01.2026", "2026-13-01", "1850-01-01", 1769848200, True, "2026-01-31\n"],
        "basket": ["{}", []],
        "tags": [{}, "x"],
    },
    "plan_property_not_allowed": {"size": ["L", "", "s"], "stars": [0, 4]},
    "plan_property_mismatch": {
        "code": ["usd", "", "ABCD"],
        "ratio": [1.5, -1],
        "item-count": [0, 2**63, 1e300],
        "balance": [2**63, -(2**63) - 1],
    },
    "plan_property_missing": {"customer's word": [None]},
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TrackingPlan:
    return plan_of(tmp_path_factory.mktemp("plan"))


def with_word(name: str, value: object) -> str:
    return json.dumps({"customer's word": "x", name: value})


def wrong(plan: TrackingPlan, properties: str) -> list[tuple[str, str]]:
    return [(one.code, one.field) for one in plan.check("everything", properties)]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in GOOD.items() for value in values], ids=str
)
def test_value_of_the_planned_type_passes(plan: TrackingPlan, name: str, value: object) -> None:
    assert plan.check("everything", with_word(name, value)) == ()


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [(code, name, value) for code, cases in WRONG.items() for name, values in cases.items() for value in values],
    ids=str,
)
def test_value_that_is_not_as_planned_is_named_with_its_code(
    plan: TrackingPlan, code: str, name: str, value: object
) -> None:
    assert wrong(plan, with_word(name, value)) == [(code, f"properties.{name}")]


def test_null_counts_as_absent(plan: TrackingPlan) -> None:
    nothing = dict.fromkeys(GOOD)

    assert plan.check("everything", json.dumps({"customer's word": "x", **nothing})) == ()
    assert wrong(plan, "{}") == [("plan_property_missing", "properties.customer's word")]


def test_message_says_what_the_value_should_be(plan: TrackingPlan) -> None:
    values = {"size": "L", "code": "x", "ratio": 2, "balance": 2**63, "amount": "x", "paidAt": 1769848200}

    violations = plan.check("everything", json.dumps(values))

    assert [one.message for one in violations] == [
        "customer's word is required.",
        "size must be one of S, M, off.",
        f"code must match ^[A-Z]{{3}}$ and have at most {LONGEST_MATCHED_TEXT} characters.",
        "ratio must be at least 0 and at most 1.",
        "balance must be a number of at most 64 bits.",
        "amount must be a number or its text, for example 49.90.",
        "paidAt must be ISO 8601, for example 2026-01-31T08:30:00Z, or milliseconds since 1970; this is before 1973. "
        "Was it in seconds?",
    ]


def test_bounds_hold_for_a_decimal_that_comes_as_text(tmp_path: Path) -> None:
    price = "{name: price, type: decimal, minimum: 0.5, maximum: 100, description: d}"
    plan = plan_of(tmp_path, f"  - {{name: view, description: d, owner: o, properties: [{price}]}}")

    inside = [plan.check("view", json.dumps({"price": value})) for value in (0.5, "0.50", "1e2", 100, None)]
    outside = [plan.check("view", json.dumps({"price": value})) for value in (0.4, "0.49", "-1", "100.01", "1e99")]

    assert inside == [()] * 5
    assert [one.code for (one,) in outside] == ["plan_property_mismatch"] * 5


def test_text_too_long_for_a_pattern_is_not_matched_at_all(tmp_path: Path) -> None:
    # Would take longer than the universe has been there.
    slow = '{name: slow, type: string, pattern: "^(a+)+$", description: d}'
    plan = plan_of(tmp_path, f"  - {{name: view, description: d, owner: o, properties: [{slow}]}}")

    violations = plan.check("view", json.dumps({"slow": "a" * LONGEST_MATCHED_TEXT + "!"}))

    assert [one.code for one in violations] == ["plan_property_mismatch"]


@pytest.mark.parametrize("unknown", ["allow", "warn", "enforce"])
@pytest.mark.parametrize("mode", ["off", "warn", "enforce"])
def test_mode_of_the_event_is_the_ceiling_for_unknown_properties(tmp_path: Path, mode: str, unknown: str) -> None:
    head = f"  - {{name: view, description: d, owner: o, mode: {mode}, unknown_properties: {unknown}"
    plan = plan_of(tmp_path, f"{head}, properties: [{{name: a, type: string, description: d}}]}}")

    found = {one.code: one.refuses for one in plan.check("view", '{"a": 1, "b": null}')}

    expected = {} if mode == "off" else {"plan_property_wrong_type": mode == "enforce"}
    if mode != "off" and unknown != "allow":
        expected["plan_property_unknown"] = mode == unknown == "enforce"
    assert found == expected


@pytest.mark.parametrize(("mode", "refuses"), [("off", None), ("warn", False), ("enforce", True)])
def test_event_that_is_not_planned_is_judged_by_the_plan_as_a_whole(
    tmp_path: Path, mode: str, refuses: bool | None
) -> None:
    plan = plan_of(tmp_path, settings=f"unknown_events: {mode}")

    violations = plan.check("surprise", "{}")

    message = "surprise is not in the tracking plan."
    expected = [] if refuses is None else [Violation("plan_event_unknown", "eventName", message, refuses)]
    assert [*violations] == expected
    assert plan.mode("surprise") == mode
    assert plan.check(FRESHNESS_PROBE, "{}") == ()


def test_number_of_named_violations_is_bounded(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "  - {name: view, description: d, owner: o, unknown_properties: warn}")

    violations = plan.check("view", json.dumps({f"{'n' * 60_000}{n}": n for n in range(10_000)}))

    assert len(violations) == MAX_VIOLATIONS
    assert max(len(one.field) for one in violations) < 200


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"a":"\\ud800"}', "[" * 100_000, '{"ratio":1e999}'])
def test_text_that_is_no_good_object_is_a_violation_and_no_error(plan: TrackingPlan, text: str) -> None:
    assert plan.check("everything", text) != ()


@given(properties=st.dictionaries(st.sampled_from(["customer's word", *GOOD, "other"]), ANY_JSON))
def test_quick_verdict_is_that_of_the_reading_with_names(plan: TrackingPlan, properties: dict[str, Any]) -> None:
    check = EventCheck(plan.events["everything"])
    # JSON has no word for a number that is none; one that is too large is the nearest.
    text = json.dumps(properties).replace("NaN", "1e999").replace("Infinity", "1e999")

    assert check(text) == check.violations(text)
