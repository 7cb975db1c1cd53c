"""Conditions: the specification's cases, what hostile ones do, and what an SDK says about the same."""

import time
from typing import Any

import pytest
from growthbook.core import evalCondition
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.conditions import MAX_DEPTH, ConditionInvalid, compile_condition, value_at
from flags.operators import VALUE_OPERATORS
from tests.flags.flags_given import VECTORS, named

OPERATORS = [*VALUE_OPERATORS, "$not", "$size", "$elemMatch", "$all", "$alli", "$inGroup", "$notInGroup", "$regx"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a", "1.2"])
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
ANY_CONDITION = st.recursive(
    ANY_JSON,
    lambda inner: (
        st.dictionaries(
            st.sampled_from([*OPERATORS, "$and", "$or", "$nor", "$savedGroup", "a", "b.c"]), inner, max_size=3
        )
        | st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


def holds(condition: Any, attributes: Any, groups: dict[str, Any] | None = None) -> bool:
    return compile_condition(condition, groups)(attributes)


@pytest.mark.parametrize("case", **named(VECTORS["evalCondition"]))
def test_condition_holds_where_the_specification_says_so(case: list[Any]) -> None:
    _, condition, attributes, expected, *groups = case

    assert holds(condition, attributes, *groups) is expected


@pytest.mark.parametrize(
    ("condition", "attributes", "expected"),
    [
        ({"a": 1}, {"a": True}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": {"$in": [1]}}, {"a": True}, False),
        ({"a": {"$in": [True]}}, {"a": 1}, False),
        ({"a": {"$in": [None]}}, {}, True),
        ({"a": {"$in": [[1]]}}, {"a": [1]}, False),
        ({"a": {"$eq": [1]}}, {"a": [1]}, False),
        ({"a": [1, {"b": 2}]}, {"a": [1.0, {"b": 2}]}, True),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, False),
        ({"a": {"b": 1, "2": 1}}, {"a": {"2": 1, "b": 1}}, True),
        ({"a.1": "y"}, {"a": ["x", "y"]}, True),
        ({"a.length": 2}, {"a": ["x", "y"]}, True),
        ({"a.01": "y"}, {"a": ["x", "y"]}, False),
        ({"a": {"$gt": "\ue000"}}, {"a": "\U0001f600"}, False),
        ({"a": {"$lt": 5}}, {"a": "x"}, False),
        ({"a": {"$lt": 5}}, {"a": []}, False),
        ({"a": {"$gte": 5}}, {"a": " 5 "}, True),
        ({"a": {"$gte": True}}, {"a": 1}, True),
        ({"a": {"$elemMatch": {"$eq": 0}}}, {"a": [0]}, True),
        ({"a": {"$elemMatch": {"$or": [{"b": 1}]}}}, {"a": [{"b": 1}]}, True),
        ({"a": {"$all": [{"$gt": 1}]}}, {"a": [0, 2]}, True),
        ({"a": {"$vgt": "1.0"}}, {}, False),
        ({"a": {"$vne": "1.0"}}, {}, True),
        ({"a": {"$regex": "1"}}, {"a": 1}, False),
        ({"a": {"$notRegex": "1"}}, {"a": 1}, True),
        ({"a": {"$notRegex": "["}}, {"a": "x"}, False),
        ({"a": {"$regex": "\ud800"}}, {"a": "x"}, False),
        ({"a": {"$regex": "."}}, {"a": "\ud800"}, False),
        ({"a": {"$type": "null"}}, {}, True),
        ({"a": {}}, {"a": 1}, True),
        ({"a": {"$or": [{"b": 1}]}}, {"a": {"b": 1}}, False),
    ],
    ids=str,
)
def test_types_are_told_apart(condition: dict[str, Any], attributes: dict[str, Any], expected: bool) -> None:
    assert holds(condition, attributes) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"a": {"$regx": 1}},
        {"$not": {"a": {"$regx": 1}}},
        {"a": {"$not": {"$regx": 1}}},
        {"$nor": [{"a": {"$regx": 1}}]},
        {"$not": {"$not": {"a": {"$regx": 1}}}},
        {"$not": {"$or": [{"a": {"$regx": 1}}, {"a": 2}]}},
    ],
    ids=str,
)
def test_what_an_unknown_operator_says_never_lets_anybody_in(condition: dict[str, Any]) -> None:
    assert holds(condition, {"a": 1}) is False


def test_a_branch_beside_an_unknown_operator_still_counts() -> None:
    assert holds({"$or": [{"a": {"$regx": 1}}, {"a": 1}]}, {"a": 1})
    assert holds({"$not": {"a": {"$regx": 1}, "b": 1}}, {"a": 1})


def test_saved_groups_are_lists_or_conditions() -> None:
    groups = {
        "ids": {"type": "list", "attributeKey": "id", "values": ["ann"]},
        "adults": {"type": "condition", "condition": {"age": {"$gte": 18}}},
        "loop": {"type": "condition", "condition": {"$savedGroup": {"id": "loop"}}},
        "new": {"type": "invented"},
    }
    user = {"id": "ann", "age": 18}

    assert holds({"$savedGroup": {"id": "ids"}}, user, groups)
    assert holds({"$savedGroup": {"id": "adults"}}, user, groups)
    assert holds({"id": {"$inGroup": "ids"}}, user, groups)
    for reference in ({"id": "loop"}, {"id": "new"}, {"id": "absent"}, {}, "ids"):
        assert not holds({"$savedGroup": reference}, user, groups)
    assert not holds({"$not": {"$savedGroup": {"id": "new"}}}, user, groups)


@pytest.mark.parametrize("condition", [[], "x", None, 1, {"$and": {}}, {"$or": None}, {"$not": []}, {"$nor": [1]}])
def test_condition_that_is_none_is_refused(condition: Any) -> None:
    with pytest.raises(ConditionInvalid):
        compile_condition(condition)


def test_condition_that_is_nested_too_deeply_is_refused() -> None:
    condition: dict[str, Any] = {"a": 1}
    for _ in range(MAX_DEPTH + 1):
        condition = {"$and": [condition]}

    with pytest.raises(ConditionInvalid, match=f"more than {MAX_DEPTH}"):
        compile_condition(condition)


def test_regex_that_would_take_years_takes_none() -> None:
    test = compile_condition({"a": {"$regex": "^(a+)+$"}})

    begin = time.perf_counter()
    answer = test({"a": "a" * 5000 + "!"})

    assert not answer
    assert time.perf_counter() - begin < 1


def test_value_at_a_path_that_leads_nowhere_is_none() -> None:
    assert [value_at({"a": {"b": [1]}}, path) for path in ("a.b.0", "a.b.1", "a.c", "a.b.c", "", "a.b.0.x")] == [
        1, None, None, None, None, None
    ]  # fmt: skip


@settings(max_examples=500)
@given(condition=ANY_CONDITION, attributes=ANY_JSON)
def test_any_condition_is_refused_or_answers_without_an_error(condition: Any, attributes: Any) -> None:
    try:
        test = compile_condition(condition, {"a": ["a"]})
    except ConditionInvalid:
        return

    assert test(attributes) in (True, False)


PLAIN = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab1.", max_size=3)
LITERALS = PLAIN | st.lists(PLAIN, max_size=2)
ALIKE = st.fixed_dictionaries(
    {},
    optional={
        "$eq": PLAIN, "$ne": PLAIN, "$in": st.lists(PLAIN, max_size=3), "$nin": st.lists(PLAIN, max_size=3),
        "$ini": st.lists(PLAIN, max_size=3), "$nini": st.lists(PLAIN, max_size=3), "$exists": st.booleans(),
        "$type": st.sampled_from(["string", "number", "boolean", "array", "null"]),
        "$regex": st.text("ab1", max_size=2),
        "$regexi": st.text("AB1", max_size=2), "$notRegex": st.text("ab1", max_size=2), "$size": st.integers(0, 2),
        "$elemMatch": st.fixed_dictionaries({"$in": st.lists(PLAIN, max_size=3)}),
        "$all": st.lists(PLAIN, max_size=2),
        "$veq": st.text("1.2", min_size=1, max_size=3), "$vlt": st.text("1.2", min_size=1, max_size=3),
    },
)  # fmt: skip
FIELDS = st.dictionaries(
    st.sampled_from(["a", "b", "c.d"]), LITERALS | ALIKE | ALIKE.map(lambda one: {"$not": one}), max_size=2
)
CONDITIONS = st.recursive(
    FIELDS,
    lambda inner: (
        st.fixed_dictionaries({"$and": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries({"$or": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries({"$nor": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=4,
)
ATTRIBUTES = st.fixed_dictionaries(
    {}, optional={"a": LITERALS, "b": LITERALS, "c": st.fixed_dictionaries({"d": PLAIN})}
)


@settings(max_examples=1000)
@given(condition=CONDITIONS, attributes=ATTRIBUTES)
def test_a_client_library_reads_conditions_alike(condition: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert holds(condition, attributes) is evalCondition(attributes, condition, {})
