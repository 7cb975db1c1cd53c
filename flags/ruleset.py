"""All flags and segments at one version, compiled once: what the hot path asks.

Evaluation is pure: `now` is passed in, and the same flags, user and moment give the same answer in every process and,
through `growthbook.payload`, in every SDK.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flags.evaluate import IN_PROGRESS, Check, Feature, FeatureResult, Features
from flags.evaluation import ErrorCode, Evaluation, Reason
from flags.experiments import NO_OVERRIDES, Trail, User
from flags.hashing import hash_text
from flags.model import Flag, Rule, Segment
from flags.plans import PlannedFlag, PlannedRule, Plans
from flags.specification import (
    WHOLE,
    applies_at,
    experiment_key_of,
    feature_of,
    hash_attribute_of,
    is_disabled,
    is_static,
    moments_of,
    rules_of,
    variant_of_value,
    variation_keys,
)
from flags.sticky_buckets import StickyBuckets

USER_ID_ATTRIBUTES = ("id", "userId", "targetingKey")
"""Where the user's id is looked for when it is not given beside the attributes."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


def user_of(
    user_id: str | None, attributes: Mapping[str, Any] | None = None, sticky_buckets: StickyBuckets | None = None
) -> User:
    """Whom flags are evaluated for. The id is the attribute `id`, which conditions may also call `userId`."""
    known = {} if attributes is None else dict(attributes)
    if user_id is not None:
        known["id"] = user_id
    elif known.get("id") is None:
        known["id"] = next((known[name] for name in USER_ID_ATTRIBUTES if known.get(name) is not None), None)
    return User(known, sticky_buckets)


@dataclass(frozen=True, slots=True)
class _Step:
    """One rule: what it says, and the answer by the variation that was chosen; only the first one without a split."""

    check: Check
    answers: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A flag between two moments at which it may change."""

    fixed: Evaluation | None
    """The answer for everybody, where there is one."""
    steps: tuple[_Step, ...]
    default: Evaluation
    has_prerequisites: bool
    is_split_by_id: bool
    kind: str


@dataclass(frozen=True, slots=True)
class _State:
    """Everything between two moments at which something may change."""

    begins: datetime
    ends: datetime
    documents: Mapping[str, Mapping[str, Any]]
    features: Features
    flags: Mapping[str, _Compiled]
    targets: dict[str, Feature]
    """By flag, its rules without their split: compiled when a user without id asks."""
    plans: Plans


class Ruleset:
    """Flags and segments by key. One that was edited is another ruleset; this one may be used by many threads."""

    def __init__(self, flags: Iterable[Flag] = (), segments: Iterable[Segment] = (), version: int = 0) -> None:
        self.flags: Mapping[str, Flag] = {one.key: one for one in flags}
        self.segments: Mapping[str, Segment] = {one.key: one for one in segments}
        self.version = version
        """Number of the snapshot, as its store counts."""
        self._moments = sorted({moment for one in self.flags.values() if one.is_enabled for moment in moments_of(one)})
        self._state: _State | None = None

    def evaluate(self, key: str, user: User, now: datetime, kind: str | None = None) -> Evaluation:
        """What the flag is for the user at this moment. Never raises: an answer that cannot be given is an ERROR.

        Args:
            key: of the flag.
            user: see `user_of`.
            now: UTC aware.
            kind: the type that the caller expects; another one is TYPE_MISMATCH.
        """
        return self._evaluate(self._state_at(now), key, user, kind, None)

    def evaluate_all(self, user: User, now: datetime, keys: Iterable[str] | None = None) -> list[Evaluation]:
        """What each flag is for the user, in order; without `keys` all of them. Prerequisites are evaluated once."""
        state = self._state_at(now)
        trail: Trail = {}
        asked = None if keys is None else tuple(keys)
        if user.overrides is NO_OVERRIDES and type(user.attributes) is dict and state.plans.are_worth_it(asked):
            text = hash_text(user.attributes.get("id"))
            if text and text.isascii():
                with suppress(Exception):  # one flag that cannot be evaluated must not take the others with it
                    return state.plans.evaluate(
                        user.attributes, text, lambda key: self._evaluate(state, key, user, None, trail), asked
                    )
        return [self._evaluate(state, key, user, None, trail) for key in (self.flags if asked is None else asked)]

    def next_change(self, now: datetime) -> datetime | None:
        """When a schedule next changes answers; None when none does. Copies of answers are good until then."""
        index = bisect_right(self._moments, now)
        return self._moments[index] if index < len(self._moments) else None

    def last_change(self, now: datetime) -> datetime | None:
        """When a schedule last changed answers, at the latest now; None when none did."""
        index = bisect_right(self._moments, now)
        return self._moments[index - 1] if index else None

    def documents(self, now: datetime) -> Mapping[str, Mapping[str, Any]]:
        """Each flag as a feature of the specification, at this moment. To be read only."""
        return self._state_at(now).documents

    def features(self, now: datetime) -> Features:
        """The same, compiled."""
        return self._state_at(now).features

    def _state_at(self, now: datetime) -> _State:
        state = self._state
        if state is None or not state.begins <= now < state.ends:
            self._state = state = self._compile(now)
        return state

    def _compile(self, now: datetime) -> _State:
        documents = {key: feature_of(one, self.segments, now) for key, one in self.flags.items()}
        features = Features(documents)
        flags = {key: _compiled(one, features.compiled(key), now) for key, one in self.flags.items()}
        planned = [
            PlannedFlag(
                key,
                one.default,
                one.fixed,
                [
                    PlannedRule(document, step.answers)
                    for document, step in zip(documents[key].get("rules", ()), one.steps, strict=False)
                ],
            )
            for key, one in flags.items()
        ]
        return _State(
            begins=self.last_change(now) or _BEGINNING,
            ends=self.next_change(now) or _END,
            documents=documents,
            features=features,
            flags=flags,
            targets={},
            plans=Plans(planned, features.test),
        )

    def _evaluate(self, state: _State, key: str, user: User, kind: str | None, trail: Trail | None) -> Evaluation:
        flag = state.flags.get(key)
        if flag is None:
            return Evaluation(key, None, None, Reason.ERROR, error=ErrorCode.FLAG_NOT_FOUND, details=f"No flag {key}.")
        if kind is not None and kind != flag.kind:
            details = f"The flag is of type {flag.kind}, not {kind}."
            return flag.default.as_error(ErrorCode.TYPE_MISMATCH, details)
        if user.overrides is not NO_OVERRIDES and key in user.overrides.features:
            return Evaluation(key, user.overrides.features[key], None, Reason.STATIC, version=flag.default.version)
        if flag.fixed is not None:
            return flag.fixed
        try:
            return self._decide(state, key, flag, user, trail)
        except Exception as error:  # an app must get its default value, whatever is wrong here
            return flag.default.as_error(ErrorCode.GENERAL, f"Evaluation failed: {type(error).__name__}.")

    def _decide(self, state: _State, key: str, flag: _Compiled, user: User, trail: Trail | None) -> Evaluation:
        if flag.has_prerequisites:
            trail = {} if trail is None else trail
            trail[key] = IN_PROGRESS
        result: FeatureResult | None = None
        try:
            for step in flag.steps:
                result = step.check(user, trail)
                if result is not None:
                    return _answer(step, result, flag)
        finally:
            if trail is not None and flag.has_prerequisites:
                del trail[key]
        if flag.is_split_by_id and not hash_text(user.attributes.get("id")) and self._needs_id(state, key, user):
            details = "The flag is split by user, and the context names none: send userId or targetingKey."
            return flag.default.as_error(ErrorCode.TARGETING_KEY_MISSING, details)
        return flag.default

    def _needs_id(self, state: _State, key: str, user: User) -> bool:
        """Whether a rule would have decided if only the user had an id."""
        feature = state.targets.get(key)
        if feature is None:
            rules = [
                {name: rule[name] for name in ("condition", "parentConditions") if name in rule} | {"force": True}
                for rule in state.documents[key].get("rules", ())
                if _is_split_by_id(rule)
            ]
            feature = state.targets[key] = state.features.compile(key, {"rules": rules})
        return any(check(user, {}) is not None for check in feature.rules)


def _answer(step: _Step, result: FeatureResult, flag: _Compiled) -> Evaluation:
    experiment = result.experiment_result
    if experiment is not None:
        answer = step.answers[experiment.variation_id]
        return answer if experiment.hash_used else answer.with_reason(Reason.TARGETING_MATCH)
    if result.source == "cyclicPrerequisite":
        return flag.default.as_error(ErrorCode.GENERAL, "The flag's prerequisites need each other.")
    return step.answers[0]


def _compiled(flag: Flag, feature: Feature, now: datetime) -> _Compiled:
    default = Evaluation(
        flag.key,
        flag.default_value,
        variant_of_value(flag, flag.default_value),
        Reason.DEFAULT,
        version=flag.version,
    )
    fixed = None
    if is_disabled(flag, now):
        fixed = default.with_reason(Reason.DISABLED)
    elif is_static(flag):
        variant = variant_of_value(flag, flag.value)
        fixed = Evaluation(flag.key, flag.value, variant, Reason.STATIC, version=flag.version)
    rules = [] if fixed is not None else [rule for rule in rules_of(flag) if applies_at(rule, now)]
    return _Compiled(
        fixed=fixed,
        steps=tuple(_Step(check, _answers(flag, rule)) for check, rule in zip(feature.rules, rules, strict=False)),
        default=default,
        has_prerequisites=feature.has_prerequisites,
        is_split_by_id=any(_hashes(rule) and hash_attribute_of(flag, rule) == "id" for rule in rules),
        kind=flag.type,
    )


def _answers(flag: Flag, rule: Rule) -> tuple[Evaluation, ...]:
    if not rule.variations:
        value = flag.value if rule.force is None else rule.force
        reason = Reason.SPLIT if rule.coverage < WHOLE else Reason.TARGETING_MATCH
        return (Evaluation(flag.key, value, variant_of_value(flag, value), reason, rule.id, flag.version),)
    experiment = experiment_key_of(flag, rule)
    return tuple(
        Evaluation(flag.key, value, variant, Reason.SPLIT, rule.id, flag.version, experiment)
        for value, variant in zip(rule.variations, variation_keys(flag, rule), strict=True)
    )


def _hashes(rule: Rule) -> bool:
    return bool(rule.variations) or rule.coverage < WHOLE or rule.namespace is not None


def _is_split_by_id(document: Mapping[str, Any]) -> bool:
    filters = document.get("filters")
    attribute = filters[0]["attribute"] if filters else document.get("hashAttribute")
    return bool(attribute == "id")
