"""Features in the form of the GrowthBook SDK specification v5: compiled once, then evaluated for many users."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from flags.conditions import ConditionInvalid, Test, compile_condition
from flags.experiments import (
    ExperimentResult,
    Trail,
    User,
    compile_experiment,
    compile_filters,
    hash_attribute_of,
)
from flags.hashing import bucket_of, hash_text

MAX_PREREQUISITE_DEPTH = 100
"""Most features that need one another in a row; a longer chain counts as one that does not end."""
IN_PROGRESS = object()
"""What a trail holds for a feature whose evaluation has begun and not ended."""

_EXPERIMENT_MEMBERS = (
    "coverage", "weights", "hashAttribute", "fallbackAttribute", "disableStickyBucketing", "bucketVersion",
    "minBucketVersion", "namespace", "meta", "ranges", "name", "phase", "seed", "hashVersion", "filters", "condition",
)  # fmt: skip
_MEMBERS_WITH_ZERO = frozenset({"coverage", "bucketVersion", "minBucketVersion"})


@dataclass(frozen=True, slots=True)
class FeatureResult:
    """What a feature is for a user. `source` is one of unknownFeature, defaultValue, force, override, experiment,
    prerequisite and cyclicPrerequisite."""

    value: Any
    source: str
    rule_id: str = ""
    experiment: Mapping[str, Any] | None = None
    experiment_result: ExperimentResult | None = None

    @property
    def is_on(self) -> bool:
        """Whether the value is true as JavaScript sees it: an empty list or object is."""
        if isinstance(self.value, list | Mapping):
            return True
        return bool(self.value) and self.value == self.value

    def document(self) -> dict[str, Any]:
        """It in the specification's form."""
        document = {
            "value": self.value,
            "on": self.is_on,
            "off": not self.is_on,
            "source": self.source,
            "ruleId": self.rule_id,
        }
        if self.experiment is not None and self.experiment_result is not None:
            document |= {"experiment": dict(self.experiment), "experimentResult": self.experiment_result.document()}
        return document


Check: TypeAlias = Callable[[User, Trail | None], FeatureResult | None]
"""A rule: what the feature is, or None where the next rule decides."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A compiled feature."""

    rules: Sequence[Check]
    default: FeatureResult
    has_prerequisites: bool


_UNKNOWN = FeatureResult(None, "unknownFeature")
_CYCLIC = FeatureResult(None, "cyclicPrerequisite")
_GATED = FeatureResult(None, "prerequisite")


class Features:
    """All features of a payload, compiled.

    Args:
        features: `{"key": {"defaultValue": ..., "rules": [...]}}`.
        saved_groups: see `compile_condition`.
    """

    def __init__(self, features: Mapping[str, Any], saved_groups: Mapping[str, Any] | None = None) -> None:
        self._saved_groups = saved_groups or {}
        self._features = {key: self.compile(key, one) for key, one in features.items() if isinstance(one, Mapping)}

    def evaluate(self, key: str, user: User, trail: Trail | None = None) -> FeatureResult:
        """What the feature is for the user. Prerequisites that need each other come out as `cyclicPrerequisite`."""
        if key in user.overrides.features:
            return FeatureResult(user.overrides.features[key], "override")
        feature = self._features.get(key)
        if feature is None:
            return _UNKNOWN
        if not feature.has_prerequisites:
            return _first(feature, user, trail)
        trail = {} if trail is None else trail
        known = trail.get(key)
        if known is IN_PROGRESS or (len(trail) > MAX_PREREQUISITE_DEPTH and _depth(trail) > MAX_PREREQUISITE_DEPTH):
            return _CYCLIC
        if known is not None:
            return known  # type: ignore[no-any-return]
        trail[key] = IN_PROGRESS
        result = _first(feature, user, trail)
        if result is _CYCLIC:
            del trail[key]  # where the evaluation began decides which features are a cycle's
        else:
            trail[key] = result
        return result

    def run(self, experiment: Mapping[str, Any], user: User) -> ExperimentResult:
        """What an experiment that belongs to no feature says to the user."""
        return compile_experiment(experiment, None, self)(user, None)

    def compiled(self, key: str) -> Feature:
        """The rules of a feature that is there.

        Raises:
            KeyError: it is not.
        """
        return self._features[key]

    def test(self, condition: Any) -> Test:
        """Compile a condition; one that is malformed never holds."""
        try:
            return compile_condition(condition, self._saved_groups)
        except ConditionInvalid:
            return lambda _: False

    def prerequisites(self, parents: Sequence[Mapping[str, Any]]) -> Callable[[User, Trail | None], str]:
        """Compile prerequisites to a function that answers "pass", "fail", "gate" or "cyclic"."""
        parts = [
            (one["id"], self.test(one["condition"]) if one.get("condition") is not None else None, one.get("gate"))
            for one in parents
            if isinstance(one, Mapping) and isinstance(one.get("id"), str)
        ]

        def check(user: User, trail: Trail | None) -> str:
            trail = {} if trail is None else trail
            for key, test, is_gate in parts:
                result = self.evaluate(key, user, trail)
                if result.source == "cyclicPrerequisite":
                    return "cyclic"
                if test is not None and not test({"value": result.value}):
                    return "gate" if is_gate else "fail"
            return "pass"

        return check

    def compile(self, key: str, feature: Mapping[str, Any]) -> Feature:
        """Compile a feature of this key, whose prerequisites are among these features."""
        rules = [one for one in feature.get("rules") or () if isinstance(one, Mapping)]
        return Feature(
            rules=tuple(self._rule(key, one) for one in rules),
            default=FeatureResult(feature.get("defaultValue"), "defaultValue"),
            has_prerequisites=any(one.get("parentConditions") for one in rules),
        )

    def _rule(self, key: str, rule: Mapping[str, Any]) -> Check:
        decide = self._decision(key, rule)
        parents, condition, filters = rule.get("parentConditions"), rule.get("condition"), rule.get("filters")
        if filters:
            decide = _filtered(compile_filters(filters), decide)
        if condition:
            decide = _conditional(self.test(condition), decide)
        return _gated(self.prerequisites(parents), decide) if parents else decide

    def _decision(self, key: str, rule: Mapping[str, Any]) -> Check:
        rule_id = rule.get("id") or ""
        if "force" in rule:
            return _rollout(rule.get("seed") or key, rule, FeatureResult(rule["force"], "force", rule_id))
        if not rule.get("variations"):
            return lambda _, __: None
        experiment = {"key": rule.get("key") or key, "variations": rule["variations"]}
        experiment |= {name: rule[name] for name in _EXPERIMENT_MEMBERS if _is_said(name, rule.get(name))}
        # Condition and filters are the rule's: they are looked at before the experiment.
        tested = {name: one for name, one in experiment.items() if name not in ("condition", "filters")}
        run = compile_experiment(tested, key, self)

        def decide(user: User, trail: Trail | None) -> FeatureResult | None:
            result = run(user, trail)
            if not result.in_experiment or result.is_passthrough:
                return None
            return FeatureResult(result.value, "experiment", rule_id, experiment, result)

        return decide


def _is_said(name: str, value: Any) -> bool:
    """Whether a member of a rule becomes one of its experiment: what is 0, false or empty text says nothing mostly."""
    return value is not None and (name in _MEMBERS_WITH_ZERO or isinstance(value, list | Mapping) or bool(value))


def _depth(trail: Trail) -> int:
    return sum(one is IN_PROGRESS for one in trail.values())


def _first(feature: Feature, user: User, trail: Trail | None) -> FeatureResult:
    for rule in feature.rules:
        result = rule(user, trail)
        if result is not None:
            return result
    return feature.default


def _conditional(test: Test, decide: Check) -> Check:
    return lambda user, trail: decide(user, trail) if test(user.attributes) else None


def _filtered(test: Test, decide: Check) -> Check:
    return lambda user, trail: decide(user, trail) if test(user) else None


def _gated(prerequisites: Callable[[User, Trail | None], str], decide: Check) -> Check:
    outcomes = {"gate": _GATED, "cyclic": _CYCLIC, "fail": None}

    def check(user: User, trail: Trail | None) -> FeatureResult | None:
        outcome = prerequisites(user, trail)
        return decide(user, trail) if outcome == "pass" else outcomes[outcome]

    return check


def _rollout(seed: str, rule: Mapping[str, Any], result: FeatureResult) -> Check:
    """Forced for everybody, or for those whose bucket is in the range or below the coverage."""
    coverage, bounds = rule.get("coverage"), rule.get("range")
    if coverage is None and not bounds:
        return lambda _, __: result
    if coverage == 0 and not bounds:
        return lambda _, __: None
    lowest, highest = bounds or (0.0, float(coverage or 0))
    attribute, fallback = rule.get("hashAttribute") or "id", rule.get("fallbackAttribute")
    if rule.get("disableStickyBucketing"):
        fallback = None
    version = rule.get("hashVersion") or 1

    def check(user: User, _: Trail | None) -> FeatureResult | None:
        value = hash_text(user.attributes.get(attribute))
        if not value and fallback:
            value = hash_text(hash_attribute_of(user, attribute, fallback)[1])
        bucket = bucket_of(seed, value, version) if value else None
        return result if bucket is not None and lowest <= bucket < highest else None

    return check
