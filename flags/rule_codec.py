"""Rules and variants as JSON documents."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flags.condition_checks import MAX_ATTRIBUTE_CHARACTERS, read_condition
from flags.fields import MAX_KEY_CHARACTERS, Members, Problems
from flags.model import ALWAYS, Condition, Namespace, Prerequisite, Rule, Schedule, Variant
from flags.values import read_value

MAX_RULE_CONDITIONS = 100
MAX_RULE_SEGMENTS = 20
MAX_RULE_PREREQUISITES = 20
MAX_VARIATIONS = 50
LARGEST_WEIGHT = 1_000_000
LARGEST_BUCKET_VERSION = 1000


class RuleReader:
    """Reads the rules of one flag. `kind` is the flag's type."""

    def __init__(
        self, kind: str, problems: Problems, read_prerequisite: Callable[[Any, str, Problems], Prerequisite]
    ) -> None:
        self._kind = kind
        self._problems = problems
        self._read_prerequisite = read_prerequisite
        self._count = 0

    def read(self, document: Any, path: str) -> Rule:
        """One rule. One without an id is called by its place: `rule-1`."""
        problems = self._problems
        members = Members(document, path, problems)
        self._count += 1
        rule = Rule(
            id=members.key("id", is_required=False) or f"rule-{self._count}",
            description=members.text("description"),
            is_enabled=members.boolean("isEnabled", True),
            conditions=self._conditions(members),
            segments=members.items("segments", MAX_RULE_SEGMENTS, self._segment),
            force=read_value(members.take("force"), self._kind, members.field("force"), problems),
            variations=members.items("variations", MAX_VARIATIONS, self._variation),
            weights=members.items("weights", MAX_VARIATIONS, self._weight),
            coverage=self._coverage(members),
            namespace=self._namespace(members),
            hash_attribute=read_hash_attribute(members, "hashAttribute"),
            fallback_attribute=read_hash_attribute(members, "fallbackAttribute"),
            hash_version=members.whole("hashVersion", 2, 1, 2),
            seed=members.text("seed", longest=MAX_KEY_CHARACTERS) or None,
            schedule=read_schedule(members),
            is_sticky=members.boolean("sticky", False),
            bucket_version=members.whole("bucketVersion", 0, 0, LARGEST_BUCKET_VERSION),
            min_bucket_version=members.whole("minBucketVersion", 0, 0, LARGEST_BUCKET_VERSION),
            prerequisites=members.items(
                "prerequisites", MAX_RULE_PREREQUISITES, lambda one, at: self._read_prerequisite(one, at, problems)
            ),
        )
        members.finish()
        self._check(rule, members)
        return rule

    def _check(self, rule: Rule, members: Members) -> None:
        add = self._problems.add
        if rule.variations and rule.force is not None:
            add(members.field("variations"), "conflict", "A rule has force or variations: leave one of them out.")
        if len(rule.variations) == 1:
            add(members.field("variations"), "conflict", "One variation cannot be split: add another, or use force.")
        if rule.weights and len(rule.weights) != len(rule.variations):
            add(members.field("weights"), "conflict", "Give one weight for each of the variations, or none.")
        elif rule.weights and sum(rule.weights) <= 0:
            add(members.field("weights"), "out_of_range", "No variation has a weight; give one of them more than 0.")
        if rule.is_sticky and not rule.variations:
            add(members.field("sticky"), "conflict", "Only a rule with variations can be sticky.")
        if rule.fallback_attribute and not rule.is_sticky:
            add(members.field("fallbackAttribute"), "conflict", "fallbackAttribute needs sticky to be true.")
        if rule.min_bucket_version > rule.bucket_version:
            add(members.field("minBucketVersion"), "conflict", "minBucketVersion is at most bucketVersion.")

    def _conditions(self, members: Members) -> tuple[Condition, ...]:
        problems = self._problems
        conditions: tuple[Condition, ...] = ()
        if members.has("condition"):
            conditions = (read_condition(members.take("condition"), members.field("condition"), problems),)
        return conditions + members.items(
            "conditions", MAX_RULE_CONDITIONS, lambda one, path: read_condition(one, path, problems)
        )

    def _segment(self, key: Any, path: str) -> str:
        return Members({"segment": key}, "", _Renamed(self._problems, path)).key("segment")

    def _variation(self, value: Any, path: str) -> Any:
        if value is None:
            self._problems.add(path, "field_missing", "A variation has a value that is not null.")
        return read_value(value, self._kind, path, self._problems)

    def _weight(self, value: Any, path: str) -> float:
        renamed = _Renamed(self._problems, path)
        return Members({"weight": -1 if value is None else value}, "", renamed).number("weight", 0, 0, LARGEST_WEIGHT)

    def _coverage(self, members: Members) -> float:
        if members.has("rolloutPercentage") and members.has("coverage"):
            message = "coverage (0 to 1) and rolloutPercentage (0 to 100) say the same: leave one of them out."
            self._problems.add(members.field("coverage"), "conflict", message)
            members.take("coverage")
        if members.has("rolloutPercentage"):
            return round(members.number("rolloutPercentage", 100.0, 0, 100) / 100, 10)
        return members.number("coverage", 1.0, 0, 1)

    def _namespace(self, members: Members) -> Namespace | None:
        if not members.has("namespace"):
            return None
        path, document = members.field("namespace"), members.take("namespace")
        if isinstance(document, list) and len(document) == 3:
            document = dict(zip(("name", "low", "high"), document, strict=True))
        if not isinstance(document, Mapping):
            message = 'A namespace is ["name", from, to], or {"name", "low", "high"}, with numbers from 0 to 1.'
            self._problems.add(path, "wrong_type", message)
            return None
        inner = Members(document, path, self._problems)
        namespace = Namespace(
            inner.text("name", is_required=True, longest=MAX_KEY_CHARACTERS),
            inner.number("low", 0.0, 0, 1),
            inner.number("high", 1.0, 0, 1),
        )
        inner.finish()
        if namespace.low > namespace.high:
            self._problems.add(path, "conflict", "The range of a namespace begins before it ends.")
        return namespace


class _Renamed(Problems):
    """Problems of a value that is no member of an object, under its own path."""

    def __init__(self, problems: Problems, path: str) -> None:
        super().__init__()
        self._problems = problems
        self._own_path = path

    def add(self, field: str, code: str, message: str) -> None:
        self._problems.add(self._own_path, code, message)


def read_variant(document: Any, path: str, kind: str, problems: Problems) -> Variant:
    """One variant. That of a text flag is its key where it has no value."""
    members = Members(document, path, problems)
    key = members.key("id" if members.has("id") and not members.has("key") else "key")
    weight_name = "allocation" if members.has("allocation") and not members.has("weight") else "weight"
    value = read_value(members.take("value"), kind, members.field("value"), problems)
    if value is None and kind == "string":
        value = key
    elif value is None:
        problems.add(members.field("value"), "field_missing", f"value is required: one of type {kind}, not null.")
    variant = Variant(
        key=key,
        value=value,
        name=members.text("name", longest=200),
        weight=members.number(weight_name, 1.0, 0, LARGEST_WEIGHT),
    )
    members.finish()
    return variant


def read_schedule(members: Members) -> Schedule:
    """`schedule` of a flag or a rule: `{"validFrom", "validUntil"}`, or these two as members of its own."""
    document = members.take("schedule")
    inner = members if document is None else Members(document, members.field("schedule"), members.problems)
    begin, end = inner.moment("validFrom"), inner.moment("validUntil")
    if inner is not members:
        begin, end = inner.moment("from") or begin, inner.moment("until") or end
        inner.finish()
    if begin is not None and end is not None and end <= begin:
        inner.problems.add(inner.field("validUntil"), "conflict", "validUntil must be after validFrom.")
    return Schedule(begin, end)


def read_hash_attribute(members: Members, name: str) -> str | None:
    """The name of an attribute that identifies users: one of the first level."""
    attribute = members.text(name, longest=MAX_ATTRIBUTE_CHARACTERS)
    if "." in attribute or attribute.startswith("$"):
        message = f"{name} is an attribute of the first level, without dots and $."
        members.problems.add(members.field(name), "not_allowed", message)
    return attribute or None


def encode_variant(variant: Variant) -> dict[str, Any]:
    """A variant as a document."""
    return {"key": variant.key, "name": variant.name, "value": variant.value, "weight": variant.weight}


def encode_rule(rule: Rule, encode_condition: Callable[[Condition], dict[str, Any]]) -> dict[str, Any]:
    """A rule as a document; members that say what would be said without them are left out."""
    document: dict[str, Any] = {
        "id": rule.id,
        "description": rule.description,
        "isEnabled": rule.is_enabled,
        "conditions": [encode_condition(one) for one in rule.conditions],
        "segments": list(rule.segments),
        "coverage": rule.coverage,
        "hashVersion": rule.hash_version,
        "sticky": rule.is_sticky,
        "prerequisites": [{"flag": one.flag, "condition": one.condition} for one in rule.prerequisites],
    }
    namespace = rule.namespace
    optional: dict[str, Any] = {
        "force": rule.force,
        "variations": list(rule.variations) or None,
        "weights": list(rule.weights) or None,
        "namespace": None if namespace is None else [namespace.name, namespace.low, namespace.high],
        "hashAttribute": rule.hash_attribute,
        "fallbackAttribute": rule.fallback_attribute,
        "seed": rule.seed,
        "bucketVersion": rule.bucket_version or None,
        "minBucketVersion": rule.min_bucket_version or None,
        "schedule": None if rule.schedule == ALWAYS else encode_schedule(rule.schedule),
    }
    return document | {name: value for name, value in optional.items() if value is not None}


def encode_schedule(schedule: Schedule) -> dict[str, str]:
    """A schedule as a document."""
    moments = {"validFrom": schedule.valid_from, "validUntil": schedule.valid_until}
    return {name: moment_text(moment) for name, moment in moments.items() if moment is not None}


def moment_text(moment: datetime) -> str:
    """A UTC time as ISO 8601."""
    return moment.isoformat().replace("+00:00", "Z")
