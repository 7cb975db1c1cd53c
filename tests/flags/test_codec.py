"""What a definition may say, and what is said about one that may not."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flags
from flags.codec import MAX_RULES, decode_flag, decode_segment, encode_flag, encode_segment, read_json
from flags.condition_checks import MAX_CONDITION_DEPTH, MAX_LISTED_VALUES
from flags.evaluation import Reason
from flags.fields import LARGEST_WHOLE_NUMBER, MAX_PROBLEMS
from flags.model import AttributeCondition, Flag, Segment
from flags.problems import DEFINITION_CODES, DefinitionInvalid, Problem
from flags.ruleset import Ruleset
from flags.specification import variation_keys
from flags.values import MAX_VALUE_BYTES
from tests.flags.documents_given import flag_documents
from tests.flags.flags_given import CUSTOMERS_FLAG, NOW, flag, people, segment, user

COUNTRY = {"attribute": "country", "operator": "equals", "value": "US"}
# Any JSON that a request body can hold, and what Python's reader makes of NaN and lone surrogates.
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FLAG_FIELDS = [
    "key", "name", "description", "type", "isEnabled", "value", "defaultValue", "rolloutPercentage", "conditions",
    "variants", "rules", "prerequisites", "tags", "owner", "hashAttribute", "schedule", "version", "createdAt", "x",
]  # fmt: skip
RULE_FIELDS = [
    "id", "isEnabled", "condition", "conditions", "segments", "force", "variations", "weights", "coverage", "namespace",
    "hashAttribute", "hashVersion", "seed", "schedule", "validFrom", "sticky", "fallbackAttribute", "prerequisites",
]  # fmt: skip


def problems(**members: Any) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionInvalid) as caught:
        decode_flag({"key": "f", **members})
    return [(one.field, one.code) for one in caught.value.problems]


def condition_problems(condition: Any) -> list[str]:
    return [code for _, code in problems(conditions=[condition])]


def read(document: dict[str, Any]) -> tuple[Flag | None, Sequence[Problem]]:
    """The flag, or what is wrong with it."""
    try:
        return decode_flag(document), ()
    except DefinitionInvalid as error:
        return None, error.problems


def nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


def test_customers_flag_is_read_as_it_is_sent() -> None:
    one = decode_flag(CUSTOMERS_FLAG)

    assert one == Flag(
        key="new_feature",
        name="New Feature",
        type="boolean",
        value=True,
        default_value=False,
        rollout_percentage=50,
        created_by="admin",
    )


@pytest.mark.parametrize(
    ("kind", "value", "default"),
    [("boolean", None, False), ("string", "x", None), ("number", 0, None), ("json", [], None)],
)
def test_default_is_off(kind: str, value: Any, default: Any) -> None:
    one = flag(type=kind, value=value)

    assert one.default_value is default
    assert one.value == (True if value is None else value)


def test_full_form_is_read() -> None:
    one = flag(
        "checkout",
        name="Checkout",
        type="string",
        value="a",
        defaultValue="b",
        variants=[{"id": "control", "allocation": 30}, {"key": "test", "name": "Test", "value": "t", "weight": 70}],
        prerequisites=[{"key": "new_ui"}, {"flag": "plan", "value": "pro"}, {"flag": "age", "condition": {"$gte": 18}}],
        rules=[{
            "conditions": [COUNTRY, {"age": {"$gte": 18}}], "condition": {"plan": "pro"}, "segments": ["beta"],
            "variations": ["control", "t"], "weights": [1, 3], "rolloutPercentage": 25, "namespace": ["space", 0, 0.5],
            "hashAttribute": "company", "hashVersion": 1, "seed": "s", "validFrom": "2026-01-01T00:00:00+01:00",
            "sticky": True, "fallbackAttribute": "device", "bucketVersion": 2, "minBucketVersion": 1,
        }],
        tags=["shop"], owner="team", schedule={"from": "2026-01-01T00:00:00Z", "until": None},
        version=7, createdAt="2025-01-01T00:00:00Z", updatedBy="bob", updatedAt="2025-01-02T00:00:00Z",
    )  # fmt: skip

    rule = one.rules[0]
    assert [(variant.key, variant.value, variant.weight) for variant in one.variants] == [
        ("control", "control", 30), ("test", "t", 70)
    ]  # fmt: skip
    assert [(each.flag, each.condition) for each in one.prerequisites] == [
        ("new_ui", {"value": True}), ("plan", {"value": "pro"}), ("age", {"value": {"$gte": 18}})
    ]  # fmt: skip
    assert rule.id == "rule-1"
    assert rule.conditions == ({"plan": "pro"}, AttributeCondition("country", "equals", "US"), {"age": {"$gte": 18}})
    assert rule.coverage == 0.25
    assert rule.schedule.valid_from == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert variation_keys(one, rule) == ["control", "test"]
    assert decode_flag(json.loads(json.dumps(encode_flag(one)))) == one


def test_segment_is_read_with_one_condition_or_several() -> None:
    one = segment("adults", COUNTRY, {"age": {"$gte": 18}})
    other = decode_segment({"key": "adults", "condition": {"age": {"$gte": 18}}})

    assert other == Segment("adults", "adults", ({"age": {"$gte": 18}},))
    assert decode_segment(encode_segment(one)) == one
    with pytest.raises(DefinitionInvalid, match="needs a condition"):
        decode_segment({"key": "adults"})


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("equals", "equals"), ("eq", "equals"), ("==", "equals"), ("$eq", "equals"), ("NEQ", "not_equals"),
        ("!=", "not_equals"),
        ("gt", "greater_than"), ("greaterThan", "greater_than"), (">=", "greater_or_equal"), ("lte", "less_or_equal"),
        ("nin", "not_in"), ("regex", "matches"), ("starts-with", "starts_with"), ("not contains", "not_contains"),
        ("semver_gt", "version_greater_than"), ("$vlte", "version_less_or_equal"),
    ],
)  # fmt: skip
def test_operator_goes_by_common_names(given_name: str, name: str) -> None:
    value = ["1"] if name == "not_in" else "1"

    one = flag(conditions=[{"attribute": "a", "operator": given_name, "value": value}])

    assert one.conditions == (AttributeCondition("a", name, value),)


def test_every_problem_is_named_at_once() -> None:
    assert problems(
        key="no spaces", type="invented", rolloutPercentage=101, invented=1, isEnabled="yes", tags="x",
        rules=[{
            "force": True, "variations": [True], "weights": [1, 2], "conditions": [{"attribute": "a", "operator": "~"}],
        }],
    ) == [
        ("key", "not_allowed"),
        ("type", "not_allowed"),
        ("isEnabled", "wrong_type"),
        ("rolloutPercentage", "out_of_range"),
        ("rules[0].conditions[0].operator", "operator_unknown"),
        ("rules[0].variations", "conflict"),
        ("rules[0].variations", "conflict"),
        ("rules[0].weights", "conflict"),
        ("tags", "wrong_type"),
        ("invented", "field_unknown"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"key": None}, [("key", "field_missing")]),
        ({"key": "x" * 129}, [("key", "too_long")]),
        ({"name": "\ud800"}, [("name", "text_broken")]),
        ({"value": 1}, [("value", "wrong_value_type")]),
        ({"type": "string", "value": True}, [("value", "wrong_value_type"), ("value", "field_missing")]),
        ({"type": "number", "value": math.nan}, [("value", "not_exact"), ("value", "field_missing")]),
        ({"type": "json", "value": [2**53 + 1]}, [("value[0]", "not_exact"), ("value", "field_missing")]),
        ({"type": "json", "value": {"a": "\udfff"}}, [("value", "text_broken"), ("value", "field_missing")]),
        ({"type": "json", "value": "x" * MAX_VALUE_BYTES}, [("value", "too_large"), ("value", "field_missing")]),
        ({"type": "string"}, [("value", "field_missing")]),
        ({"type": "string", "rules": [{}]}, [("rules[0].force", "field_missing")]),
        ({"type": "string", "rules": [{"variations": [None, "a"]}]}, [("rules[0].variations[0]", "field_missing")]),
        ({"rules": [{"id": "a"}, {"id": "a"}]}, [("rules[1].id", "duplicate")]),
        ({"rules": [{}], "conditions": [COUNTRY]}, [("rules", "conflict")]),
        ({"rules": [{}], "rolloutPercentage": 50}, [("rules", "conflict")]),
        ({"rules": [{}] * (MAX_RULES + 1)}, [("rules", "too_many")]),
        ({"rules": [{"segments": ["a b"]}]}, [("rules[0].segments[0]", "not_allowed")]),
        ({"rules": [{"sticky": True}]}, [("rules[0].sticky", "conflict")]),
        ({"rules": [{"namespace": ["n", 0.5, 0.2]}]}, [("rules[0].namespace", "conflict")]),
        ({"rules": [{"namespace": "n"}]}, [("rules[0].namespace", "wrong_type")]),
        ({"rules": [{"variations": [True, False], "weights": [0, 0]}]}, [("rules[0].weights", "out_of_range")]),
        ({"rules": [{"coverage": 1, "rolloutPercentage": 1}]}, [("rules[0].coverage", "conflict")]),
        ({"rules": [{"hashAttribute": "a.b"}]}, [("rules[0].hashAttribute", "not_allowed")]),
        ({"rules": [{"hashVersion": 3}]}, [("rules[0].hashVersion", "out_of_range")]),
        ({"rules": [{"schedule": {"validFrom": "2026-01-01"}}]},
         [("rules[0].schedule.validFrom", "timestamp_invalid")]),
        ({"validFrom": "2026-01-02T00:00:00Z", "validUntil": "2026-01-01T00:00:00Z"}, [("validUntil", "conflict")]),
        ({"variants": [{"key": "a", "value": True}]}, [("variants", "conflict")]),
        ({"variants": [{"key": "a", "value": True}] * 2}, [("variants[1].key", "duplicate")]),
        ({"variants": [{"key": "a"}, {"key": "b", "value": False}]}, [("variants[0].value", "field_missing")]),
        ({"prerequisites": [{"flag": "f"}]}, [("prerequisites", "prerequisite_cycle")]),
        ({"prerequisites": [{"flag": "g", "condition": {"$x": 1}}]},
         [("prerequisites[0].condition.value.$x", "operator_unknown")]),
        ({"version": 1.5}, [("version", "wrong_type")]),
        ({"version": LARGEST_WHOLE_NUMBER * 2}, [("version", "out_of_range")]),
        ({"description": "x" * 5000}, [("description", "too_long")]),
    ],
    ids=lambda one: str(one)[:80].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_field_that_is_wrong_is_named(members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert problems(**members) == expected


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("x", "wrong_type"), ({"attribute": "a"}, "field_missing"), ({**COUNTRY, "x": 1}, "field_unknown"),
        ({**COUNTRY, "value": None}, "field_missing"), ({**COUNTRY, "value": [1]}, "wrong_type"),
        ({**COUNTRY, "operator": "in"}, "wrong_type"), ({**COUNTRY, "operator": "exists"}, "not_allowed"),
        ({**COUNTRY, "operator": "gt", "value": True}, "wrong_type"), ({**COUNTRY, "attribute": "$or"}, "not_allowed"),
        ({**COUNTRY, "operator": "in", "value": [1] * (MAX_LISTED_VALUES + 1)}, "too_many"),
        ({**COUNTRY, "operator": "matches", "value": "(?=a)"}, "regex_invalid"),
        ({"a": {"$regex": "("}}, "regex_invalid"),
        ({"a": {"$regex": "\\pL"}}, "regex_invalid"), ({"a": {"$regex": "(?i)a"}}, "regex_invalid"),
        ({"a": {"$regex": "(a)\\1"}}, "regex_invalid"), ({"a": {"$regex": "[[:alpha:]]"}}, "regex_invalid"),
        ({"a": {"$regex": "a{1000}{1000}"}}, "regex_invalid"), ({"a": {"$regex": "x" * 1001}}, "too_long"),
        ({"a": {"$regex": "\ud800"}}, "text_broken"), ({"a": {"$regex": 1}}, "wrong_type"),
        ({"a": {"$regx": 1}}, "operator_unknown"), ({"$where": "1"}, "operator_unknown"),
        ({"a": {"$inGroup": "x"}}, "operator_unknown"), ({"$savedGroup": {"id": "x"}}, "operator_unknown"),
        ({"$and": {}}, "wrong_type"), ({"$not": []}, "wrong_type"), ({"a": {"$in": 1}}, "wrong_type"),
        ({"a": {"$eq": {}}}, "wrong_type"), ({"a": {"$exists": 1}}, "wrong_type"),
        ({"a": {"$type": "int"}}, "not_allowed"),
        ({"a": {"$size": True}}, "wrong_type"), ({"a": {"$elemMatch": 1}}, "wrong_type"),
        ({"a": {"$veq": 1}}, "wrong_type"),
        ({"a": {}}, "field_missing"), ({"a": {"$gt": 1, "b": 2}}, "conflict"), ({"": 1}, "too_long"),
        ({1: 2}, "wrong_type"),
        ({"a": {1: 2}}, "wrong_type"),
        ({"a": math.inf}, "not_exact"), ({"a": {"$gt": 2**60}}, "not_exact"),
        ({"$or": [{"a": 1}] * 1001}, "too_many"), ({"a": nested(MAX_CONDITION_DEPTH)}, "too_deep"),
    ],
    ids=lambda one: str(one)[:80].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_condition_that_is_wrong_is_refused(condition: Any, code: str) -> None:
    assert condition_problems(condition) == [code]


def test_condition_that_is_too_deep_is_refused() -> None:
    condition: dict[str, Any] = {"a": 1}
    for _ in range(MAX_CONDITION_DEPTH):
        condition = {"$not": condition}

    assert condition_problems(condition) == ["too_deep"]


def test_problems_are_bounded() -> None:
    assert len(problems(**{f"x{one}": 1 for one in range(MAX_PROBLEMS * 2)})) == MAX_PROBLEMS


def test_definition_is_bounded() -> None:
    long = [{"attribute": "a", "operator": "in", "value": ["x" * 400] * 3000}]

    assert problems(conditions=long) == [("", "too_large")]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000, b" " * (1 << 21)], ids=len)
def test_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(DefinitionInvalid):
        read_json(body)


@pytest.mark.parametrize("document", [None, [], "x", 1])
def test_document_that_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(DefinitionInvalid, match="must be a JSON object"):
        decode_flag(document)


def test_every_code_is_documented_and_used() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(flags.__file__).parent.glob("*.py"))

    assert [code for code in DEFINITION_CODES if sources.count(f'"{code}"') < 2] == []


def check_readable(one: Flag) -> None:
    """It survives being written and read, and gives each user one of its values."""
    document = json.loads(json.dumps(encode_flag(one)))
    assert decode_flag(document) == one
    rules = Ruleset([one])
    for attributes in people(5):
        answer = rules.evaluate(one.key, user(attributes.get("id"), **attributes), NOW)
        assert answer.reason is not Reason.ERROR or answer.error in ("TARGETING_KEY_MISSING",)
        assert answer.version == one.version
    assert rules.evaluate(one.key, user(None), NOW).error in (None, "TARGETING_KEY_MISSING")


@settings(max_examples=200, deadline=None)
@given(document=flag_documents())
def test_flag_that_is_accepted_can_be_read_and_evaluated(document: dict[str, Any]) -> None:
    one, found = read(document)

    assert {each.code for each in found} <= DEFINITION_CODES.keys()
    if one is not None:
        check_readable(one)


@settings(max_examples=500, deadline=None)
@given(
    document=st.dictionaries(
        st.sampled_from(FLAG_FIELDS),
        ANY_JSON
        | st.lists(st.dictionaries(st.sampled_from(RULE_FIELDS), ANY_JSON, max_size=4), max_size=2)
        | st.sampled_from(["f", "boolean", "json"]),
        max_size=5,
    )
)
def test_any_document_is_read_or_refused_with_known_codes(document: dict[str, Any]) -> None:
    one, found = read({"key": "f", **document})

    assert {each.code for each in found} <= DEFINITION_CODES.keys()
    assert all(each.message.endswith((".", "?")) for each in found)
    if one is not None:
        check_readable(one)
