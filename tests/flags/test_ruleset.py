"""What a flag is for a user: values, variants, reasons and rules."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flags.codec import decode_flag
from flags.evaluation import ErrorCode, Evaluation, Reason
from flags.model import Flag, Prerequisite
from flags.ruleset import Ruleset, user_of
from flags.sticky_buckets import StickyBuckets
from tests.flags.flags_given import CUSTOMERS_FLAG, NOW, flag, ruleset, segment, user

US_PREMIUM = [
    {"attribute": "country", "operator": "equals", "value": "US"},
    {"attribute": "plan", "operator": "in", "value": ["premium", "pro"]},
]
EVERYBODY = [f"user-{one}" for one in range(2000)]


def answer(one: Flag, asked: Any = None, now: datetime = NOW, **attributes: Any) -> Evaluation:
    return ruleset(one).evaluate(one.key, asked or user(**attributes), now)


def values(one: Flag) -> dict[str, Any]:
    rules = ruleset(one)
    return {user_id: rules.evaluate(one.key, user(user_id), NOW).value for user_id in EVERYBODY}


def test_customers_flag_is_evaluated_as_it_is_asked_for() -> None:
    rules = ruleset(decode_flag(CUSTOMERS_FLAG))

    one = rules.evaluate("new_feature", user_of("user123", {"country": "US", "plan": "premium"}), NOW)

    assert one.document() == {
        "key": "new_feature",
        "value": True,
        "variant": "on",
        "reason": "SPLIT",
        "ruleId": "rollout",
        "version": 1,
    }


@pytest.mark.parametrize(
    ("members", "value", "variant", "reason", "rule_id"),
    [
        ({}, True, "on", "STATIC", None),
        ({"isEnabled": False}, False, "off", "DISABLED", None),
        ({"isEnabled": False, "rules": [{"force": True}]}, False, "off", "DISABLED", None),
        ({"rolloutPercentage": 0}, False, "off", "DEFAULT", None),
        ({"rolloutPercentage": 99.99}, True, "on", "SPLIT", "rollout"),
        ({"conditions": [{"plan": "pro"}]}, True, "on", "TARGETING_MATCH", "rollout"),
        ({"conditions": [{"plan": "free"}]}, False, "off", "DEFAULT", None),
        ({"rules": [{"id": "r", "force": False}]}, False, "off", "TARGETING_MATCH", "r"),
        ({"rules": [{"isEnabled": False}]}, False, "off", "DEFAULT", None),
        (
            {"rules": [{"condition": {"plan": "free"}}, {"condition": {"plan": "pro"}}]},
            True, "on", "TARGETING_MATCH", "rule-2",
        ),
        ({"type": "string", "value": "x"}, "x", None, "STATIC", None),
        ({"type": "string", "variants": [{"key": "a", "weight": 0}, {"key": "b"}]}, "b", "b", "SPLIT", "rollout"),
        ({"type": "number", "rules": [{"variations": [1, 2], "weights": [0, 1]}]}, 2, "1", "SPLIT", "rule-1"),
        (
            {"type": "json", "value": {"a": 1}, "variants": [{"key": "v", "value": {"a": 1}}], "rules": [{}]},
            {"a": 1}, "v", "TARGETING_MATCH", "rule-1",
        ),
        ({"schedule": {"validFrom": "2026-06-01T12:00:01Z"}}, False, "off", "DISABLED", None),
        ({"schedule": {"validFrom": "2026-06-01T12:00:00Z"}}, True, "on", "STATIC", None),
        ({"schedule": {"validUntil": "2026-06-01T12:00:00Z"}}, False, "off", "DISABLED", None),
    ],
    ids=str,
)  # fmt: skip
def test_reason_and_rule_say_why(
    members: dict[str, Any], value: Any, variant: str | None, reason: str, rule_id: str | None
) -> None:
    one = answer(flag(**members), plan="pro")

    assert (one.value, one.variant, one.reason, one.rule_id) == (value, variant, reason, rule_id)


def test_conditions_must_all_hold() -> None:
    one = flag(conditions=US_PREMIUM)

    assert answer(one, country="US", plan="pro").value is True
    assert answer(one, country="US", plan="free").value is False
    assert answer(one, country="DE", plan="pro").value is False
    assert answer(one).value is False


@pytest.mark.parametrize("name", ["id", "userId", "targetingKey"])
def test_users_id_is_an_attribute_by_each_of_its_names(name: str) -> None:
    one = flag(conditions=[{"attribute": name, "operator": "equals", "value": "ann"}], hashAttribute=name)

    assert answer(one, user_of("ann")).value is True
    assert answer(one, user_of(None, {"userId": "ann"})).value is True
    assert answer(one, user_of(None, {"targetingKey": "ann"})).value is True
    assert answer(one, user_of("bob", {"userId": "ann"})).value is False


def test_raising_the_percentage_moves_nobody_out() -> None:
    inside: set[str] = set()
    for percentage in (0, 1, 5, 12.5, 50, 51, 99.9, 100):
        now_inside = {user_id for user_id, value in values(flag(rolloutPercentage=percentage)).items() if value}
        assert inside <= now_inside
        assert abs(len(now_inside) / len(EVERYBODY) - percentage / 100) < 0.04
        inside = now_inside


def test_same_user_gets_the_same_answer_from_every_ruleset_and_in_any_order() -> None:
    flags = [flag(f"f{one}", rolloutPercentage=50) for one in range(10)]
    one, other = ruleset(*flags), ruleset(*reversed(flags))

    for user_id in EVERYBODY[:200]:
        by_key = {each.key: each for each in other.evaluate_all(user(user_id), NOW)}
        assert all(by_key[each.key] == each for each in one.evaluate_all(user(user_id), NOW))


def test_variants_share_by_weight_and_stay_when_coverage_rises() -> None:
    variants = [{"key": "a", "value": 1, "weight": 1}, {"key": "b", "value": 2, "weight": 3}]
    some, all_ = (values(flag(type="number", variants=variants, rolloutPercentage=one)) for one in (50, 100))

    shares = Counter(all_.values())

    assert abs(shares[2] / shares[1] - 3) < 0.5
    assert {some[one] for one in EVERYBODY} == {None, 1, 2}
    assert all(some[one] in (None, all_[one]) for one in EVERYBODY)


def test_namespace_excludes_and_holds_out() -> None:
    one, other, held_out = (
        values(flag(key, rules=[{"force": True, "namespace": ["space", low, high]}]))
        for key, low, high in (("one", 0, 0.5), ("other", 0.5, 0.9), ("holdout", 0.9, 1))
    )

    assert all(one[each] + other[each] + held_out[each] == 1 for each in EVERYBODY)
    assert abs(sum(held_out.values()) / len(EVERYBODY) - 0.1) < 0.03


def test_rules_of_one_seed_have_the_same_users() -> None:
    one, other = (values(flag(key, rules=[{"coverage": 0.3, "seed": "shared"}])) for key in ("one", "other"))

    assert one == other


def test_segment_is_any_of_those_named_and_an_absent_one_has_no_users() -> None:
    segments = (segment("pro", {"plan": "pro"}), segment("us", {"country": "US"}))
    rules = ruleset(flag(rules=[{"segments": ["pro", "us", "absent"]}]), segments=segments)

    answers = [rules.evaluate("flag", user(plan=plan, country="DE"), NOW).value for plan in ("pro", "free")]

    assert answers == [True, False]
    assert rules.evaluate("flag", user(plan="free", country="US"), NOW).value is True


def test_prerequisite_must_hold_and_its_kill_switch_counts() -> None:
    needing = flag("needing", prerequisites=[{"flag": "parent"}])

    answers = [
        ruleset(needing, *parents).evaluate("needing", user(), NOW)
        for parents in ([flag("parent")], [flag("parent", isEnabled=False)], [])
    ]

    assert [(one.value, one.reason) for one in answers] == [
        (True, Reason.TARGETING_MATCH), (False, Reason.DEFAULT), (False, Reason.DEFAULT)
    ]  # fmt: skip


def test_prerequisite_of_a_rule_skips_the_rule_only() -> None:
    rules = [{"force": "a", "prerequisites": [{"flag": "parent", "value": "x"}]}, {"force": "b"}]
    parent = flag("parent", type="string", value="y")

    one = ruleset(parent, flag(type="string", rules=rules)).evaluate("flag", user(), NOW)

    assert (one.value, one.rule_id) == ("b", "rule-2")


def test_prerequisites_that_need_each_other_are_an_error() -> None:
    on = {"value": True}
    flags = [
        Flag("a", "a", "boolean", True, False, prerequisites=(Prerequisite("b", on),)),
        Flag("b", "b", "boolean", True, False, prerequisites=(Prerequisite("a", on),)),
        Flag("c", "c", "boolean", True, False, prerequisites=(Prerequisite("a", on),)),
    ]

    answers = Ruleset(flags).evaluate_all(user(), NOW)

    assert {(one.value, one.reason, one.error) for one in answers} == {(False, Reason.ERROR, ErrorCode.GENERAL)}


@pytest.mark.parametrize(
    ("one", "attributes", "error"),
    [
        (flag(rolloutPercentage=50), {}, ErrorCode.TARGETING_KEY_MISSING),
        (flag(rolloutPercentage=50), {"id": ""}, ErrorCode.TARGETING_KEY_MISSING),
        (flag(rolloutPercentage=50, conditions=[{"plan": "pro"}]), {"plan": "pro"}, ErrorCode.TARGETING_KEY_MISSING),
        (flag(rolloutPercentage=50, conditions=[{"plan": "pro"}]), {"plan": "free"}, None),
        (flag(rules=[{"force": True, "namespace": ["n", 0, 1]}]), {}, ErrorCode.TARGETING_KEY_MISSING),
        (flag(rules=[{"variations": [True, False]}]), {}, ErrorCode.TARGETING_KEY_MISSING),
        (flag(rules=[{"coverage": 0.5, "hashAttribute": "company"}]), {}, None),
        (flag(rules=[{"coverage": 0.5}, {"force": True}]), {}, None),
        (flag(rolloutPercentage=100), {}, None),
    ],
)
def test_split_without_a_user_is_an_error_where_it_would_have_decided(
    one: Flag, attributes: dict[str, Any], error: ErrorCode | None
) -> None:
    result = answer(one, user_of(None, attributes))

    assert result.error is error
    assert (result.value is False) or error is None
    assert (result.reason is Reason.ERROR) is (error is not None)


def test_flag_that_is_not_there_or_of_another_type_is_an_error() -> None:
    rules = ruleset(flag())

    absent, mistaken = rules.evaluate("absent", user(), NOW), rules.evaluate("flag", user(), NOW, kind="string")

    assert absent.document()["errorCode"] == "FLAG_NOT_FOUND"
    assert (mistaken.error, mistaken.value) == (ErrorCode.TYPE_MISMATCH, False)
    assert rules.evaluate("flag", user(), NOW, kind="boolean").error is None


def test_all_or_named_flags_are_evaluated_in_order() -> None:
    rules = ruleset(flag("a"), flag("b", isEnabled=False), flag("c"))

    assert [one.key for one in rules.evaluate_all(user(), NOW)] == ["a", "b", "c"]
    assert [one.reason for one in rules.evaluate_all(user(), NOW, ["c", "x"])] == [Reason.STATIC, Reason.ERROR]


def test_schedules_change_answers_at_their_moments() -> None:
    hour = timedelta(hours=1)
    rules = ruleset(
        flag(
            type="string",
            defaultValue="-",
            rules=[
                {"force": "first", "schedule": {"validUntil": "2026-06-01T13:00:00Z"}},
                {"force": "second", "schedule": {"validFrom": "2026-06-01T13:00:00Z"}},
            ],
            schedule={"validFrom": "2026-06-01T12:00:00Z", "validUntil": "2026-06-01T15:00:00Z"},
        )
    )
    moments = [NOW - hour, NOW, NOW + hour, NOW + 3 * hour]

    answers = [rules.evaluate("flag", user(), moment).value for moment in moments]

    assert answers == ["-", "first", "second", "-"]
    assert [rules.next_change(moment) for moment in moments] == [NOW, NOW + hour, NOW + 3 * hour, None]
    assert [rules.last_change(moment) for moment in moments] == [None, NOW, NOW + hour, NOW + 3 * hour]
    assert [rules.evaluate("flag", user(), moment).value for moment in reversed(moments)] == answers[::-1]


def test_disabled_flag_has_no_next_change() -> None:
    rules = ruleset(flag(isEnabled=False, schedule={"validFrom": "2027-01-01T00:00:00Z"}))

    assert rules.next_change(NOW) is None


def test_sticky_rule_keeps_a_users_variant() -> None:
    def rules(*weights: int) -> Ruleset:
        return ruleset(flag(type="string", rules=[{"variations": ["a", "b"], "weights": weights, "sticky": True}]))

    buckets = StickyBuckets()
    first = rules(1, 0).evaluate("flag", user(sticky=buckets), NOW)

    kept = rules(0, 1).evaluate("flag", user(sticky=buckets), NOW)
    fresh = rules(0, 1).evaluate("flag", user(sticky=StickyBuckets()), NOW)

    assert (first.value, kept.value, fresh.value) == ("a", "a", "b")
    assert list(buckets.changed) == ["id||ann"]


@pytest.mark.parametrize("attributes", [{"country": object()}, {"plan": {"a": [object()]}}, {1: 2}, {"tags": {1, 2}}])
def test_attributes_that_are_no_json_give_an_answer(attributes: dict[Any, Any]) -> None:
    conditions = [*US_PREMIUM, {"tags": {"$elemMatch": {"$gt": 1}}}]

    assert answer(flag(conditions=conditions), user_of("ann", attributes)).value is False


def test_moments_are_compared_in_any_time_zone() -> None:
    rules = ruleset(flag(schedule={"validFrom": "2026-06-01T14:00:00+02:00"}))

    assert rules.next_change(NOW - timedelta(seconds=1)) == datetime(2026, 6, 1, 12, tzinfo=UTC)
