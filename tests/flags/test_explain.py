"""The playground: each rule and why."""

from typing import Any

import pytest

from flags.explain import explain
from flags.model import Flag, Prerequisite
from flags.ruleset import Ruleset, user_of
from flags.sticky_buckets import StickyBuckets
from tests.flags.flags_given import NOW, flag, people, ruleset, segment, user
from tests.flags.test_growthbook import SEGMENTS, every_flag


def why(*rules: dict[str, Any], **attributes: Any) -> list[str]:
    one = flag(type="string", value="v", rules=list(rules))
    segments = (segment("adults", {"age": {"$gte": 18}}),)
    return [each.why for each in explain(ruleset(one, segments=segments), "flag", user(**attributes), NOW).rules]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({}, "Everything the rule asks for holds."),
        ({"isEnabled": False}, "The rule is switched off."),
        ({"validFrom": "2027-01-01T00:00:00Z"}, "The rule begins at 2027-01-01T00:00:00+00:00."),
        ({"validUntil": "2026-01-01T00:00:00Z"}, "The rule ended at 2026-01-01T00:00:00+00:00."),
        (
            {"conditions": [{"attribute": "country", "operator": "equals", "value": "US"}]},
            'The condition country equals "US" does not hold: it is "DE".',
        ),
        (
            {"conditions": [{"attribute": "userId", "operator": "equals", "value": "bob"}]},
            'The condition userId equals "bob" does not hold: it is "ann".',
        ),
        (
            {"conditions": [{"attribute": "x", "operator": "exists"}]},
            "The condition x exists does not hold: it is null.",
        ),
        (
            {"condition": {"country": "DE", "age": {"$gte": 18}}},
            'The condition {"age":{"$gte":18}} does not hold: age is 17.',
        ),
        ({"condition": {"$or": [{"a": 1}]}}, 'The condition {"$or":[{"a":1}]} does not hold.'),
        ({"segments": ["adults"]}, "The user is in none of the segments adults."),
        ({"segments": ["x"]}, "The user is in none of the segments x. There is no segment x."),
        ({"prerequisites": [{"flag": "x"}]}, "The prerequisite x does not exist."),
        ({"hashAttribute": "company", "coverage": 0.5}, "The rule splits by company, which the user does not have."),
        ({"coverage": 0.1}, "The user's bucket is 0.1494; the rule covers those below 0.1."),
        (
            {"namespace": ["n", 0.99, 1]},
            "The user's place in the namespace n is 0.856; the rule has 0.99 to 1.",
        ),
        ({"variations": ["a", "b"]}, "The user's bucket is 0.1494; the variant 0 has 0.0 to 0.5."),
        (
            {"variations": ["a", "b"], "coverage": 0.1},
            "The user's bucket is 0.1494, which no variation has: coverage is 0.1.",
        ),
    ],
    ids=str,
)
def test_rule_says_why(rule: dict[str, Any], sentence: str) -> None:
    assert why(rule, country="DE", age=17) == [sentence]


def test_prerequisite_says_what_it_is() -> None:
    rules = ruleset(flag("parent", isEnabled=False), flag(prerequisites=[{"flag": "parent"}]))

    (one,) = explain(rules, "flag", user(), NOW).rules

    assert one.why == 'The prerequisite parent is false; it must fit {"value":true}.'


def test_prerequisites_that_need_each_other_are_named() -> None:
    on = {"value": True}
    rules = Ruleset(
        Flag(one, one, "boolean", True, False, prerequisites=(Prerequisite(other, on),))
        for one, other in (("a", "b"), ("b", "a"))
    )

    explanation = explain(rules, "a", user(), NOW)

    assert explanation.rules[0].why == "The prerequisite b needs this flag, which needs it."
    assert explanation.summary == "The flag's prerequisites need each other."


def test_kept_variant_is_named_and_nothing_is_assigned() -> None:
    one = flag(type="string", rules=[{"variations": ["a", "b"], "weights": [1, 0], "sticky": True, "bucketVersion": 1}])
    kept = StickyBuckets.of([{"attributeName": "id", "attributeValue": "ann", "assignments": {"flag.rule-1__1": "1"}}])
    fresh = StickyBuckets()

    with_kept = explain(ruleset(one), "flag", user(sticky=kept), NOW)
    explain(ruleset(one), "flag", user(sticky=fresh), NOW)

    assert with_kept.rules[0].why == "The user keeps the variant 1, which was assigned before."
    assert with_kept.evaluation.value == "b"
    assert (fresh.documents, fresh.changed) == ({}, {})


@pytest.mark.parametrize(
    ("members", "summary"),
    [
        ({}, "The flag has no rules: everybody gets its value."),
        ({"isEnabled": False}, "The flag is switched off: everybody gets its default value."),
        (
            {"validFrom": "2027-01-01T00:00:00Z"},
            "The flag is outside of its schedule: everybody gets its default value.",
        ),
        ({"rolloutPercentage": 0}, "No rule applies: the default value."),
        ({"conditions": [{"id": "ann"}]}, "Rule rollout decides."),
    ],
    ids=str,
)
def test_summary_says_which_rule_decides(members: dict[str, Any], summary: str) -> None:
    explanation = explain(ruleset(flag(**members)), "flag", user(), NOW)

    assert explanation.document()["summary"] == summary


def test_flag_that_is_not_there_is_said_so() -> None:
    explanation = explain(ruleset(), "absent", user(), NOW)

    assert (explanation.summary, explanation.rules) == ("No flag absent.", ())


def test_explanation_agrees_with_the_evaluation_for_every_kind_of_flag() -> None:
    rules = ruleset(*every_flag(), segments=SEGMENTS)

    for attributes in people(100):
        asked = user_of(None, attributes)
        for key in rules.flags:
            explanation = explain(rules, key, asked, NOW)
            decisive = [one.rule_id for one in explanation.rules if one.is_decisive]
            expected = explanation.evaluation.rule_id
            if explanation.evaluation.reason == "STATIC":
                expected = "rollout"
            assert decisive == ([] if expected is None else [expected])


def test_attributes_that_are_no_json_are_shown() -> None:
    one = flag(conditions=[{"attribute": "a", "operator": "equals", "value": 1}])

    (rule,) = explain(ruleset(one), "flag", user(a="\ud800"), NOW).rules

    assert rule.why == "The condition a equals 1 does not hold: it is '\\ud800'."
