"""The short form of a condition, and what becomes of it for client libraries."""

from typing import Any

import pytest

from flags.conditions import compile_condition
from flags.model import AttributeCondition
from flags.targeting import all_of, any_of, specification_condition, told_apart


@pytest.mark.parametrize(
    ("operator", "value", "holding", "failing"),
    [
        ("equals", "US", ["US"], ["us", None, 1]),
        ("not_equals", 1, [2, "1", None, True], [1, 1.0]),
        ("in", ["a", 1], ["a", 1, ["x", "a"]], ["b", True, None, []]),
        ("not_in", ["a", 1], ["b", True, None, []], ["a", 1, ["x", "a"]]),
        ("contains", "a.c", ["xa.cx", ["a.c"], "a.c"], ["abc", ["xa.cx"], None, 1]),
        ("contains", 1, [[1, 2], 1], ["1", [True], None]),
        ("not_contains", "a", ["xyz", None, ["xa"]], ["a", "xa", ["a"]]),
        ("starts_with", "a+", ["a+", "a+b"], ["aa", "xa+", None, 1]),
        ("ends_with", "(x)", ["(x)", "y(x)"], ["x", "(x)y", None]),
        ("matches", "^a[0-9]$", ["a1"], ["a", "xa1", None, 1]),
        ("greater_than", 18, [19, 18.5], [18, "19", None, True, []]),
        ("greater_or_equal", 18, [18], [17, "18", None]),
        ("less_than", 18, [17, -1], [18, None, "", False]),
        ("less_or_equal", "m", ["m", "a"], ["n", None, 1]),
        ("exists", None, [0, "", False, []], [None]),
        ("not_exists", None, [None], [0, ""]),
        ("before", "2026-01-01T00:00:00Z", ["2025-12-31T23:59:59Z"], ["2026-01-01T00:00:00Z", None, 1]),
        ("after", 1_700_000_000_000, [1_700_000_000_001], ["2026", None]),
        ("version_equals", "1.2.0", ["v1.2.0", "1.2.0+build"], ["1.2", None]),
        ("version_not_equals", "1.2.0", ["1.2.1", None], ["v1.2.0"]),
        ("version_greater_than", "1.9.0", ["1.10.0"], ["1.9.0", "1.9.0-rc", None, 2]),
        ("version_greater_or_equal", "1.9.0", ["1.9.0"], ["1.8.99"]),
        ("version_less_than", "2.0.0", ["2.0.0-beta", "1.10"], ["2.0.0", None]),
        ("version_less_or_equal", "2.0.0", ["2.0.0"], ["2.0.1"]),
    ],
)
def test_operator_holds_for_values_of_its_type(
    operator: str, value: Any, holding: list[Any], failing: list[Any]
) -> None:
    test = compile_condition(specification_condition([AttributeCondition("a.b", operator, value)]))

    assert [one for one in holding if not test({"a": {"b": one}})] == []
    assert [one for one in failing if test({"a": {"b": one}})] == []
    assert test({}) is (None in holding)


@pytest.mark.parametrize(
    ("condition", "typed"),
    [
        ({"a": {"$gt": 1}}, {"a": {"$type": "number", "$gt": 1}}),
        ({"a": {"$not": {"$lt": "x"}}}, {"a": {"$not": {"$type": "string", "$lt": "x"}}}),
        ({"a": {"$gt": 1, "$lt": "x"}}, {"a": {"$in": []}}),
        ({"a": {"$gt": 1, "$type": "string"}}, {"a": {"$in": []}}),
        ({"a": {"$gt": 1, "$type": "number"}}, {"a": {"$type": "number", "$gt": 1}}),
        ({"a": {"$all": [{"$gt": 1}, 2]}}, {"a": {"$all": [{"$type": "number", "$gt": 1}, 2]}}),
        ({"a": {"$elemMatch": {"$gt": 1}}}, {"a": {"$elemMatch": {"$type": "number", "$gt": 1}}}),
        (
            {"a": {"$elemMatch": {"userId": {"$gt": 1}}}},
            {"a": {"$elemMatch": {"userId": {"$type": "number", "$gt": 1}}}},
        ),
        ({"$or": [{"userId": 1}], "$not": {"userId": 2}}, {"$or": [{"id": 1}], "$not": {"id": 2}}),
        ({"id": 1, "userId": 2}, {"$and": [{"id": 1}, {"id": 2}]}),
        ({"user.id": "x", "a": [1]}, {"user.id": "x", "a": [1]}),
    ],
    ids=str,
)
def test_ordering_asks_for_the_type_first(condition: dict[str, Any], typed: dict[str, Any]) -> None:
    assert told_apart(condition) == typed


def test_conditions_are_joined_without_losing_one() -> None:
    assert all_of([{"a": 1}, {}, {"b": 2}]) == {"a": 1, "b": 2}
    assert all_of([{"a": 1}, {"a": 2}]) == {"$and": [{"a": 1}, {"a": 2}]}
    assert all_of([]) == {}
    assert any_of([{"a": 1}]) == {"a": 1}
    assert any_of([{"a": 1}, {"b": 1}]) == {"$or": [{"a": 1}, {"b": 1}]}
    assert not compile_condition(any_of([]))({})
