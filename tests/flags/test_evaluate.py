"""Features and experiments: the specification's cases, and what they do not have."""

from typing import Any

import pytest

from flags.evaluate import MAX_PREREQUISITE_DEPTH, Features
from flags.experiments import Overrides, User, query_string_override
from tests.flags.flags_given import VECTORS, named, user_of_case


def features_of(context: dict[str, Any]) -> Features:
    return Features(context.get("features", {}), context.get("savedGroups"))


@pytest.mark.parametrize(("_", "context", "key", "expected"), **named(VECTORS["feature"]))
def test_feature_is_what_the_specification_says(
    _: str, context: dict[str, Any], key: str, expected: dict[str, Any]
) -> None:
    assert features_of(context).evaluate(key, user_of_case(context)).document() == expected


@pytest.mark.parametrize(("_", "context", "experiment", "value", "is_in", "is_hashed"), **named(VECTORS["run"]))
def test_experiment_is_what_the_specification_says(
    _: str, context: dict[str, Any], experiment: dict[str, Any], value: Any, is_in: bool, is_hashed: bool
) -> None:
    result = features_of(context).run(experiment, user_of_case(context))

    assert (result.value, result.in_experiment, result.hash_used) == (value, is_in, is_hashed)


def needing(*parents: str, gate: bool = False) -> dict[str, Any]:
    conditions = [{"id": one, "condition": {"value": True}, "gate": gate} for one in parents]
    return {"defaultValue": False, "rules": [{"parentConditions": conditions, "force": True}]}


def test_gate_blocks_the_feature_and_a_plain_prerequisite_only_its_rule() -> None:
    features = Features({"off": {"defaultValue": False}, "gated": needing("off", gate=True), "plain": needing("off")})

    gated, plain = (features.evaluate(key, User({})) for key in ("gated", "plain"))

    assert (gated.value, gated.source) == (None, "prerequisite")
    assert (plain.value, plain.source) == (False, "defaultValue")


def test_prerequisites_that_need_each_other_are_caught() -> None:
    features = Features({"a": needing("b"), "b": needing("c"), "c": needing("b"), "self": needing("self")})

    assert {features.evaluate(key, User({})).source for key in ("a", "b", "c", "self")} == {"cyclicPrerequisite"}


def test_a_prerequisite_that_two_features_need_is_no_cycle() -> None:
    features = Features(
        {"root": {"defaultValue": True}, "b": needing("root"), "c": needing("root"), "a": needing("b", "c")}
    )

    assert features.evaluate("a", User({})).value is True


def test_a_lattice_of_prerequisites_is_walked_once() -> None:
    layers = {f"f{one}": needing(f"f{one + 1}", f"f{one + 1}") for one in range(60)}
    features = Features({**layers, "f60": {"defaultValue": True}})

    assert features.evaluate("f0", User({})).value is True


def test_chain_of_prerequisites_ends() -> None:
    length = MAX_PREREQUISITE_DEPTH + 50
    chain = {f"f{one}": needing(f"f{one + 1}") for one in range(length)}
    features = Features({**chain, f"f{length}": {"defaultValue": True}})

    assert features.evaluate("f0", User({})).source == "cyclicPrerequisite"
    assert features.evaluate(f"f{length - 50}", User({})).value is True


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", None),
        ("http://example.com", None), ("http://example.com?exp=1", 1), ("http://example.com?a=2&exp=0#x", 0),
        ("http://example.com?exp=2", None), ("http://example.com?exp=-1", None), ("http://example.com?exp=b", None),
        ("http://example.com?exp=", None), ("http://example.com?exp=²", None),
        ("http://example.com?exp=" + "9" * 5000, None),
        ("http://[::1/?exp=1", None),
    ],
)  # fmt: skip
def test_url_forces_a_variation_that_exists(url: str, expected: int | None) -> None:
    assert query_string_override("exp", url, 2) == expected


def test_caller_forces_a_variation_or_a_feature() -> None:
    features = Features({"f": {"defaultValue": "x", "rules": [{"variations": ["a", "b"], "key": "exp"}]}})

    forced = features.evaluate("f", User({"id": "1"}, overrides=Overrides(variations={"exp": 1})))
    absurd = features.evaluate("f", User({"id": "1"}, overrides=Overrides(variations={"exp": "b"})))  # type: ignore[dict-item]
    overridden = features.evaluate("f", User({"id": "1"}, overrides=Overrides(features={"f": 7})))

    assert (forced.value, forced.experiment_result and forced.experiment_result.hash_used) == ("b", False)
    assert absurd.value == "x"
    assert (overridden.value, overridden.source) == (7, "override")


def test_overrides_replace_members_of_an_experiment() -> None:
    features = Features({})
    experiment = {"key": "exp", "variations": [0, 1]}

    result = features.run(experiment, User({"id": "1"}, overrides=Overrides(experiments={"exp": {"coverage": 0}})))

    assert not result.in_experiment
    assert features.run(experiment, User({"id": "1"})).in_experiment


def test_stopped_draft_and_grouped_experiments_leave_users_out() -> None:
    features, ann = Features({}), User({"id": "1"}, overrides=Overrides(groups={"beta": True}))
    experiment = {"key": "exp", "variations": [0, 1]}

    left_out = [features.run({**experiment, "status": status}, ann).in_experiment for status in ("draft", "stopped")]
    grouped = [features.run({**experiment, "groups": [group]}, ann).in_experiment for group in ("beta", "alpha")]

    assert left_out == [False, False]
    assert grouped == [True, False]


@pytest.mark.parametrize(
    "rule",
    [
        {}, {"variations": []}, {"variations": ["a"]}, {"condition": [1], "force": 1},
        {"condition": {"$or": 1}, "force": 1},
        {"coverage": 0, "force": 1}, {"coverage": 1, "force": 1, "hashVersion": 9}, {"force": 1, "filters": [{}]},
        {"variations": ["a", "b"], "hashVersion": 9}, {"variations": ["a", "b"], "hashAttribute": "absent"},
    ],
    ids=str,
)  # fmt: skip
def test_rule_that_cannot_apply_is_skipped(rule: dict[str, Any]) -> None:
    features = Features({"f": {"defaultValue": "x", "rules": [rule, "no rule"]}})

    assert features.evaluate("f", User({"id": "1"})).source == "defaultValue"


def test_rules_split_by_another_attribute_and_by_any_range() -> None:
    rule = {"force": True, "coverage": 0.5, "range": [0.25, 0.75], "hashAttribute": "company", "hashVersion": 2}
    features = Features({"f": {"defaultValue": False, "rules": [rule]}})

    answers = [features.evaluate("f", User({"company": f"c{one}"})).value for one in range(1000)]

    assert 450 < sum(answers) < 550
    assert features.evaluate("f", User({"id": "1"})).value is False


def test_user_who_is_not_held_out_goes_on_to_the_next_rule() -> None:
    holdout = {"key": "h", "hashVersion": 2, "variations": [0, 1], "coverage": 1, "disableStickyBucketing": False}
    meta = [{"key": "held"}, {"key": "passed", "passthrough": True}]
    rules = [{**holdout, "weights": [0.1, 0.9], "meta": meta}, {"force": 2}]
    features = Features({"f": {"defaultValue": -1, "rules": rules}})

    results = [features.evaluate("f", User({"id": str(one)})) for one in range(1, 500)]

    held = next(one for one in results if one.value == 0)
    assert {one.value for one in results} == {0, 2}
    assert held.document()["experimentResult"]["key"] == "held"
    assert set(held.document()["experiment"]) == {"key", "variations", "weights", "meta", "hashVersion", "coverage"}


@pytest.mark.parametrize(
    ("value", "is_on"),
    [(None, False), (0, False), ("", False), (float("nan"), False), ([], True), ({}, True), (1, True)],
    ids=str,
)
def test_feature_is_on_as_javascript_sees_it(value: Any, is_on: bool) -> None:
    assert Features({"f": {"defaultValue": value}}).evaluate("f", User({})).is_on is is_on
