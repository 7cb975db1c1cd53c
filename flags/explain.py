"""Why a user gets what a flag says: each rule in order, whether it applies, and in a sentence why or why not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from flags.conditions import compile_condition, value_at
from flags.evaluation import Evaluation
from flags.experiments import User
from flags.hashing import bucket_of, bucket_ranges, choose_variation, hash_text, in_namespace
from flags.model import AttributeCondition, Condition, Flag, Prerequisite, Rule
from flags.ruleset import Ruleset
from flags.specification import (
    WHOLE,
    experiment_key_of,
    fallback_attribute_of,
    hash_attribute_of,
    is_disabled,
    is_static,
    parents_of,
    rules_of,
    segment_condition,
    shares,
    variation_keys,
)
from flags.sticky_buckets import StickyBuckets, document_key, experiment_key
from flags.targeting import canonical_attribute, specification_condition

_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """What one rule says about the user."""

    rule_id: str
    description: str
    is_matched: bool
    """Whether the rule applies to the user."""
    is_decisive: bool
    """Whether it is the first that does: the answer is its."""
    why: str
    """A sentence."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A flag's answer for a user, and how it came about."""

    evaluation: Evaluation
    summary: str
    rules: tuple[RuleExplanation, ...]

    def document(self) -> dict[str, Any]:
        """It as the API answers it."""
        rules = [
            {
                "ruleId": one.rule_id,
                "description": one.description,
                "matched": one.is_matched,
                "decisive": one.is_decisive,
                "why": one.why,
            }
            for one in self.rules
        ]
        return {**self.evaluation.document(), "summary": self.summary, "rules": rules}


def explain(ruleset: Ruleset, key: str, user: User, now: datetime) -> Explanation:
    """Explain what `Ruleset.evaluate` answers for the user at this moment. Assigns no sticky buckets."""
    if user.sticky_buckets is not None:
        user = replace(user, sticky_buckets=StickyBuckets(dict(user.sticky_buckets.documents)))
    flag = ruleset.flags.get(key)
    explained = [] if flag is None else list(_explained(ruleset, flag, user, now))
    evaluation = ruleset.evaluate(key, user, now)
    return Explanation(evaluation, _summary(flag, evaluation, now), tuple(explained))


def _summary(flag: Flag | None, evaluation: Evaluation, now: datetime) -> str:
    if flag is None or evaluation.error is not None:
        return evaluation.details
    if not flag.is_enabled:
        return "The flag is switched off: everybody gets its default value."
    if is_disabled(flag, now):
        return "The flag is outside of its schedule: everybody gets its default value."
    if is_static(flag):
        return "The flag has no rules: everybody gets its value."
    if evaluation.rule_id is None:
        return "No rule applies: the default value."
    return f"Rule {evaluation.rule_id} decides."


def _explained(ruleset: Ruleset, flag: Flag, user: User, now: datetime) -> Iterator[RuleExplanation]:
    is_decided = is_disabled(flag, now)
    for rule in rules_of(flag):
        is_matched, why = _Reading(ruleset, flag, rule, user, now).verdict()
        yield RuleExplanation(rule.id, rule.description, is_matched, is_matched and not is_decided, why)
        is_decided = is_decided or is_matched


class _Reading:
    """One rule read for one user, in the order of evaluation."""

    def __init__(self, ruleset: Ruleset, flag: Flag, rule: Rule, user: User, now: datetime) -> None:
        self._ruleset = ruleset
        self._flag = flag
        self._rule = rule
        self._user = user
        self._now = now

    def verdict(self) -> tuple[bool, str]:
        """Whether the rule applies, and why."""
        obstacle = self._schedule() or self._prerequisites() or self._conditions() or self._segments()
        if obstacle:
            return False, obstacle
        rule = self._rule
        if not rule.variations and rule.coverage >= WHOLE and rule.namespace is None:
            return True, "Everything the rule asks for holds."
        attribute = hash_attribute_of(self._flag, rule)
        value = hash_text(self._user.attributes.get(attribute))
        fallback = fallback_attribute_of(self._flag, rule)
        if not value and fallback and self._user.sticky_buckets is not None:
            attribute = fallback
            value = hash_text(self._user.attributes.get(attribute))
        if not value:
            return False, f"The rule splits by {attribute}, which the user does not have."
        return self._sticky(attribute, value) or self._namespace(value) or self._bucket(value)

    def _schedule(self) -> str:
        rule = self._rule
        if not rule.is_enabled:
            return "The rule is switched off."
        if rule.schedule.holds_at(self._now):
            return ""
        begin, end = rule.schedule.valid_from, rule.schedule.valid_until
        if begin is not None and self._now < begin:
            return f"The rule begins at {begin.isoformat()}."
        return f"The rule ended at {end.isoformat() if end is not None else 'its end'}."

    def _prerequisites(self) -> str:
        for one in (*self._flag.prerequisites, *self._rule.prerequisites):
            if sentence := self._prerequisite(one):
                return sentence
        return ""

    def _prerequisite(self, one: Prerequisite) -> str:
        value = self._ruleset.features(self._now).evaluate(one.flag, self._user)
        if value.source == "unknownFeature":
            return f"The prerequisite {one.flag} does not exist."
        if value.source == "cyclicPrerequisite":
            return f"The prerequisite {one.flag} needs this flag, which needs it."
        if compile_condition(parents_of([one])[0]["condition"])({"value": value.value}):
            return ""
        return f"The prerequisite {one.flag} is {_shown(value.value)}; it must fit {_shown(one.condition)}."

    def _conditions(self) -> str:
        for condition in self._rule.conditions:
            if not compile_condition(specification_condition([condition]))(self._user.attributes):
                return _failed(condition, self._user.attributes)
        return ""

    def _segments(self) -> str:
        keys, segments = self._rule.segments, self._ruleset.segments
        if not keys or any(compile_condition(segment_condition(key, segments))(self._user.attributes) for key in keys):
            return ""
        missing = [key for key in keys if key not in segments]
        return f"The user is in none of the segments {', '.join(keys)}." + (
            f" There is no segment {', '.join(missing)}." if missing else ""
        )

    def _sticky(self, attribute: str, value: str) -> tuple[bool, str] | None:
        rule, kept = self._rule, self._user.sticky_buckets
        if not rule.is_sticky or kept is None:
            return None
        keys = [document_key(attribute, value)]
        fallback = fallback_attribute_of(self._flag, rule)
        if fallback and fallback != attribute:
            keys.append(document_key(fallback, hash_text(self._user.attributes.get(fallback))))
        assignments = kept.assignments(keys)
        name = experiment_key_of(self._flag, rule)
        if any(experiment_key(name, version) in assignments for version in range(rule.min_bucket_version)):
            return False, "The user was assigned in an earlier bucket version, whose users are left out."
        variant = assignments.get(experiment_key(name, rule.bucket_version))
        if variant is None or variant not in variation_keys(self._flag, rule):
            return None
        return True, f"The user keeps the variant {variant}, which was assigned before."

    def _namespace(self, value: str) -> tuple[bool, str] | None:
        one = self._rule.namespace
        if one is None or in_namespace(value, (one.name, one.low, one.high)):
            return None
        place = bucket_of(f"__{one.name}", value, 1)
        return False, f"The user's place in the namespace {one.name} is {place}; the rule has {one.low} to {one.high}."

    def _bucket(self, value: str) -> tuple[bool, str]:
        rule = self._rule
        bucket = bucket_of(rule.seed or self._flag.key, value, rule.hash_version) or 0.0
        if not rule.variations:
            is_covered = bucket < rule.coverage
            return is_covered, f"The user's bucket is {bucket}; the rule covers those below {rule.coverage}."
        count = len(rule.variations)
        ranges = bucket_ranges(count, rule.coverage, shares(rule.weights, count))
        index = choose_variation(bucket, ranges)
        if index < 0:
            return False, f"The user's bucket is {bucket}, which no variation has: coverage is {rule.coverage}."
        low, high = (round(bound, 4) for bound in ranges[index])
        variant = variation_keys(self._flag, rule)[index]
        return True, f"The user's bucket is {bucket}; the variant {variant} has {low} to {high}."


def _failed(condition: Condition, attributes: Mapping[str, Any]) -> str:
    if isinstance(condition, AttributeCondition):
        actual = attributes.get(condition.attribute, value_at(attributes, canonical_attribute(condition.attribute)))
        asked = "" if condition.value is None else f" {_shown(condition.value)}"
        return f"The condition {condition.attribute} {condition.operator}{asked} does not hold: it is {_shown(actual)}."
    for name, operand in condition.items():
        if not compile_condition(specification_condition([{name: operand}]))(attributes):
            actual = "" if name.startswith("$") else f": {name} is {_shown(value_at(attributes, name))}"
            return f"The condition {_shown({name: operand})} does not hold{actual}."
    return f"The condition {_shown(condition)} does not hold."


def _shown(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):  # what a caller sent may be no JSON
        text = ascii(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
