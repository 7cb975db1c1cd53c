"""All flags at once are what each of them is alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.audiences import Audiences, names_read
from flags.conditions import compile_condition
from flags.evaluation import Reason
from flags.model import Flag
from flags.problems import DefinitionInvalid
from flags.ruleset import Ruleset, user_of
from tests.flags.all_kinds_given import SEGMENTS, every_flag
from tests.flags.documents_given import flag_documents
from tests.flags.flags_given import NOW, flag, people, ruleset, user


def differing(rules: Ruleset, everybody: list[dict[str, Any]]) -> list[Any]:
    """Answers for these users that are not those of the flags alone: of all flags, and of some by their keys."""
    some = [*rules.flags][::-2] * 3
    found = []
    for one in everybody:
        who = user_of(None, one)
        for keys in (None, some):
            answers = rules.evaluate_all(who, NOW, keys)
            alone = [rules.evaluate(key, who, NOW) for key in (rules.flags if keys is None else keys)]
            found += [pair for pair in zip(answers, alone, strict=True) if pair[0] != pair[1]]
    return found


def test_all_flags_at_once_are_what_each_is_alone() -> None:
    rules = ruleset(*every_flag(), segments=SEGMENTS)

    assert differing(rules, people(1000)) == []


@settings(max_examples=200)
@given(documents=st.lists(flag_documents(), max_size=5, unique_by=lambda one: one["key"]), seed=st.integers(0, 1000))
def test_any_flags_at_once_are_what_each_is_alone(documents: list[dict[str, Any]], seed: int) -> None:
    flags: list[Flag] = []
    for one in documents:
        try:
            flags.append(flag(**one))
        except DefinitionInvalid:
            continue

    assert differing(ruleset(*flags, segments=SEGMENTS), people(20, seed)) == []


@pytest.mark.parametrize("first", ["a", "b", "c", "d"])
def test_chains_of_prerequisites_are_followed_in_any_order(first: str) -> None:
    chain = {
        "a": flag("a", rolloutPercentage=60),
        "b": flag("b", prerequisites=[{"flag": "a"}], rolloutPercentage=70),
        "c": flag("c", prerequisites=[{"flag": "b"}], conditions=[{"plan": {"$in": ["pro", "premium"]}}]),
        "d": flag("d", prerequisites=[{"flag": "c", "value": False}, {"flag": "b"}]),
    }
    order = [first, *(key for key in reversed(chain) if key != first)]
    rules = ruleset(*(chain[key] for key in order))
    everybody = people(300)

    assert differing(rules, everybody) == []
    assert len({one.value for who in everybody for one in rules.evaluate_all(user_of(None, who), NOW)}) == 2


def test_prerequisites_that_need_each_other_are_an_error_here_too() -> None:
    rules = ruleset(
        flag("a", prerequisites=[{"flag": "b"}]),
        flag("b", prerequisites=[{"flag": "a"}]),
        flag("c", prerequisites=[{"flag": "b"}]),
        flag("d", rolloutPercentage=50),
    )

    assert differing(rules, people(50)) == []
    assert rules.evaluate_all(user(), NOW)[0].reason is Reason.ERROR


def test_bounds_of_a_rollout_are_exact() -> None:
    rules = ruleset(*(flag(f"f{one}", rolloutPercentage=one / 100) for one in range(0, 10_001, 61)))

    assert differing(rules, people(100)) == []


@pytest.mark.parametrize("values", [[True, 1, 1.0, "1"], [False, 0, 0.0, "", None], [["a"], "a", {"a": 1}, ["b"]]])
def test_attributes_that_python_takes_for_equal_are_told_apart(values: list[Any]) -> None:
    conditions = [{"one": {"$eq": value}} for value in values if not isinstance(value, list | dict)]
    conditions += [{"one": {"$type": kind}} for kind in ("boolean", "number", "string", "null", "array", "object")]
    tests = [compile_condition(one) for one in conditions]

    for order in (values, values[::-1]):
        audiences = Audiences(conditions, compile_condition)
        for value in [*order, *order]:
            holding = audiences.of({"one": value})
            assert [bool(holding >> number & 1) for number in range(len(tests))] == [
                test({"one": value}) for test in tests
            ]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flags.audiences._MOST_COMBINATIONS", 10)
    monkeypatch.setattr("flags.plans._MOST_ANSWERS", 10)
    rules = ruleset(
        flag("a", conditions=[{"name": {"$in": [f"name-{one}" for one in range(0, 60, 2)]}}]),
        flag("b", conditions=[{"age": {"$gt": 30}}], rolloutPercentage=50),
    )
    everybody = [
        {"id": f"u{one}", "name": f"name-{one}" + "x" * (600 if one % 7 == 0 else 0), "age": one} for one in range(60)
    ]

    assert differing(rules, everybody * 2) == []


def test_names_read_are_those_of_attributes() -> None:
    condition = {
        "a.b": 1,
        "$or": [{"c": {"$elemMatch": {"ignored": 1}}}, {"$not": {"d": {"$not": {"$gt": 1}}}}],
        "$nor": [{"e": {"f": 1}}],
    }

    assert names_read(condition) == {"a", "c", "d", "e"}
