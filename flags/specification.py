"""Our definitions in the form of the GrowthBook SDK specification v5.

Both evaluation here and the payload of the SDKs are made from this one form, so that they cannot drift apart. Ranges
are given beside coverage: SDKs agree that a range is half open, not whether a coverage is.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flags.model import Flag, Namespace, Prerequisite, Rule, Segment, Variant
from flags.targeting import all_of, any_of, canonical_attribute, specification_condition, told_apart

SHORT_FORM_RULE = "rollout"
"""Id of the rule that a flag's conditions, percentage and variants make."""
WHOLE = 1.0


def rules_of(flag: Flag) -> tuple[Rule, ...]:
    """The rules of a flag in order; the short form is one rule."""
    if flag.rules:
        return flag.rules
    return (
        Rule(
            id=SHORT_FORM_RULE,
            conditions=flag.conditions,
            force=None if flag.variants else flag.value,
            variations=tuple(one.value for one in flag.variants),
            weights=tuple(one.weight for one in flag.variants),
            # Rounded: 12.34 / 100 is more than the 0.1234 at which a bucket begins.
            coverage=round(flag.rollout_percentage / 100, 10),
        ),
    )


def is_disabled(flag: Flag, now: datetime) -> bool:
    """Whether everybody gets the default value."""
    return not flag.is_enabled or not flag.schedule.holds_at(now)


def is_static(flag: Flag) -> bool:
    """Whether everybody gets the value: no targeting, no split and no prerequisite."""
    is_targeted = flag.rules or flag.conditions or flag.variants or flag.prerequisites
    return not is_targeted and flag.rollout_percentage >= 100


def applies_at(rule: Rule, now: datetime) -> bool:
    """Whether a rule counts at this moment."""
    return rule.is_enabled and rule.schedule.holds_at(now)


def moments_of(flag: Flag) -> list[datetime]:
    """When the answers of a flag may change by themselves."""
    schedules = [flag.schedule, *(rule.schedule for rule in flag.rules)]
    return [moment for one in schedules for moment in (one.valid_from, one.valid_until) if moment is not None]


def feature_of(flag: Flag, segments: Mapping[str, Segment], now: datetime) -> dict[str, Any]:
    """The feature that a flag is at this moment. A segment that does not exist has no users."""
    if is_disabled(flag, now):
        return {"defaultValue": flag.default_value}
    rules = [rule_of(flag, rule, segments) for rule in rules_of(flag) if applies_at(rule, now)]
    return {"defaultValue": flag.default_value, "rules": rules} if rules else {"defaultValue": flag.default_value}


def rule_of(flag: Flag, rule: Rule, segments: Mapping[str, Segment]) -> dict[str, Any]:
    """A rule of the specification."""
    document: dict[str, Any] = {"id": rule.id}
    if condition := condition_of(rule, segments):
        document["condition"] = condition
    if parents := parents_of((*flag.prerequisites, *rule.prerequisites)):
        document["parentConditions"] = parents
    attribute = hash_attribute_of(flag, rule)
    if rule.variations:
        document |= _split(flag, rule, attribute)
    else:
        document |= {"force": flag.value if rule.force is None else rule.force}
        if rule.namespace is not None:
            document["filters"] = [_filter(rule.namespace, attribute)]
    if rule.coverage < WHOLE or rule.variations:
        document |= {
            "coverage": rule.coverage,
            "hashAttribute": attribute,
            "hashVersion": rule.hash_version,
            "seed": rule.seed or flag.key,
        }
        if not rule.variations:
            document["range"] = [0, rule.coverage]
    return document


def condition_of(rule: Rule, segments: Mapping[str, Segment]) -> dict[str, Any]:
    """What the user's attributes must be for a rule; empty when anybody is meant."""
    parts = [specification_condition(rule.conditions)]
    if rule.segments:
        parts.append(any_of([segment_condition(key, segments) for key in rule.segments]))
    return all_of(parts)


def segment_condition(key: str, segments: Mapping[str, Segment]) -> Mapping[str, Any]:
    """Who is in a segment."""
    segment = segments.get(key)
    return {"$not": {}} if segment is None else specification_condition(segment.conditions)


def parents_of(prerequisites: Sequence[Prerequisite]) -> list[dict[str, Any]]:
    """Prerequisites. Not as gates, which would give null instead of the flag's default value."""
    return [{"id": one.flag, "condition": told_apart(one.condition, is_of_user=False)} for one in prerequisites]


def hash_attribute_of(flag: Flag, rule: Rule) -> str:
    """Which attribute decides the bucket of a rule."""
    return canonical_attribute(rule.hash_attribute or flag.hash_attribute)


def fallback_attribute_of(flag: Flag, rule: Rule) -> str | None:
    """Which attribute decides the bucket of a user without the first one."""
    fallback = canonical_attribute(rule.fallback_attribute) if rule.fallback_attribute else None
    return None if fallback == hash_attribute_of(flag, rule) else fallback


def sticky_attributes(flags: Iterable[Flag]) -> frozenset[str]:
    """The attributes by which users keep what they were assigned; none where no rule is sticky."""
    sticky = [(flag, rule) for flag in flags for rule in rules_of(flag) if rule.is_sticky and rule.variations]
    named = [(hash_attribute_of(flag, rule), fallback_attribute_of(flag, rule)) for flag, rule in sticky]
    return frozenset(attribute for pair in named for attribute in pair if attribute is not None)


def experiment_key_of(flag: Flag, rule: Rule) -> str:
    """Under which name a split is an experiment: in exposures, in URLs and in sticky buckets."""
    return f"{flag.key}.{rule.id}" if flag.rules else flag.key


def variation_keys(flag: Flag, rule: Rule) -> list[str]:
    """The key of each variation: that of the flag's variant with this value, else its index."""
    free: list[Variant | None] = [*flag.variants]
    keys = []
    for index, value in enumerate(rule.variations):
        found = next((one for one in free if one is not None and _is_same(one.value, value)), None)
        if found is not None:
            free[free.index(found)] = None
        keys.append(str(index) if found is None else found.key)
    return keys if len(set(keys)) == len(keys) else [str(index) for index in range(len(keys))]


def variant_of_value(flag: Flag, value: Any) -> str | None:
    """The name of a value that was not split: its variant's key; on and off for a boolean without variants."""
    for one in flag.variants:
        if _is_same(one.value, value):
            return one.key
    return ("on" if value else "off") if isinstance(value, bool) else None


def shares(weights: Sequence[float], count: int) -> list[float]:
    """Weights as shares that make up 1; equal ones where there are none."""
    total = sum(weights)
    return [weight / total for weight in weights] if total > 0 else [1 / count] * count


def _split(flag: Flag, rule: Rule, attribute: str) -> dict[str, Any]:
    names = {one.key: one.name for one in flag.variants if one.name}
    keys = variation_keys(flag, rule)
    document: dict[str, Any] = {
        "key": experiment_key_of(flag, rule),
        "variations": list(rule.variations),
        "weights": shares(rule.weights, len(rule.variations)),
        "meta": [{"key": key, **({"name": names[key]} if key in names else {})} for key in keys],
    }
    if rule.namespace is not None:
        document["namespace"] = [rule.namespace.name, rule.namespace.low, rule.namespace.high]
    if not rule.is_sticky:
        return document | {"disableStickyBucketing": True}
    document |= {"bucketVersion": rule.bucket_version, "minBucketVersion": rule.min_bucket_version}
    if fallback := fallback_attribute_of(flag, rule):
        document["fallbackAttribute"] = fallback
    return document


def _filter(namespace: Namespace, attribute: str) -> dict[str, Any]:
    """A namespace for a rule that is no experiment: the same hash as that of the specification's namespaces."""
    return {
        "seed": f"__{namespace.name}",
        "hashVersion": 1,
        "attribute": attribute,
        "ranges": [[namespace.low, namespace.high]],
    }


def _is_same(one: Any, other: Any) -> bool:
    """Equal, and not just a number that stands for a boolean."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other
