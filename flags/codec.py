"""Flags and segments as JSON documents (camelCase), and what a document may say.

What is accepted here, evaluation can always read. Everything that is wrong with a document is said at once.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from flags.condition_checks import check_condition, read_condition
from flags.conditions import is_operator_object
from flags.experiment_model import Experiment
from flags.fields import LARGEST_WHOLE_NUMBER, MAX_KEY_CHARACTERS, Members, Problems, check_json
from flags.model import ALWAYS, AttributeCondition, Condition, Flag, Prerequisite, Segment
from flags.problems import DefinitionInvalid, Problem
from flags.rule_codec import (
    RuleReader,
    encode_rule,
    encode_schedule,
    encode_variant,
    moment_text,
    read_hash_attribute,
    read_schedule,
    read_variant,
)
from flags.values import TYPES, off_value, read_value

MAX_DEFINITION_BYTES = 1 << 20
"""Longest definition, as UTF-8 JSON."""
MAX_RULES = 100
MAX_CONDITIONS = 100
MAX_VARIANTS = 50
MAX_PREREQUISITES = 20
MAX_TAGS = 50

_Definition = TypeVar("_Definition")
_IS_ON: Mapping[str, Any] = {"value": True}


def decode_flag(document: Any) -> Flag:
    """Read a flag: the body of a create request, or one that was stored.

    Raises:
        DefinitionInvalid: with every problem.
    """
    problems = Problems()
    members = Members(document, "", problems)
    flag = _flag(members) if members.is_object else None
    return accepted(flag, document, problems)


def decode_segment(document: Any) -> Segment:
    """Read a segment: `{"key", "name", "conditions": [...]}`, or `condition` with one of the specification.

    Raises:
        DefinitionInvalid: with every problem.
    """
    problems = Problems()
    members = Members(document, "", problems)
    segment = _segment(members) if members.is_object else None
    return accepted(segment, document, problems)


def read_json(body: bytes, most_bytes: int = MAX_DEFINITION_BYTES) -> Any:
    """Read JSON in UTF-8, to be decoded as a flag or a segment, or as many.

    Raises:
        DefinitionInvalid: it is none, or too long.
    """
    if len(body) > most_bytes:
        raise DefinitionInvalid([_too_large(len(body))])
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DefinitionInvalid([Problem("", "json_invalid", f"Send JSON in UTF-8: {error}.")]) from error


def encode_flag(flag: Flag) -> dict[str, Any]:
    """A flag as a document that `decode_flag` reads back as the same flag."""
    document: dict[str, Any] = {
        "key": flag.key,
        "name": flag.name,
        "description": flag.description,
        "type": flag.type,
        "isEnabled": flag.is_enabled,
        "value": flag.value,
        "defaultValue": flag.default_value,
        "rolloutPercentage": flag.rollout_percentage,
        "conditions": [encode_condition(one) for one in flag.conditions],
        "variants": [encode_variant(one) for one in flag.variants],
        "rules": [encode_rule(one, encode_condition) for one in flag.rules],
        "prerequisites": [{"flag": one.flag, "condition": one.condition} for one in flag.prerequisites],
        "tags": list(flag.tags),
        "owner": flag.owner,
        "hashAttribute": flag.hash_attribute,
    }
    if flag.schedule != ALWAYS:
        document["schedule"] = encode_schedule(flag.schedule)
    return document | encode_history(flag)


def encode_segment(segment: Segment) -> dict[str, Any]:
    """A segment as a document that `decode_segment` reads back as the same segment."""
    return {
        "key": segment.key,
        "name": segment.name,
        "description": segment.description,
        "conditions": [encode_condition(one) for one in segment.conditions],
        **encode_history(segment),
    }


def encode_condition(condition: Condition) -> dict[str, Any]:
    """A condition in the form in which it was written."""
    if not isinstance(condition, AttributeCondition):
        return dict(condition)
    document = {"attribute": condition.attribute, "operator": condition.operator}
    return document if condition.value is None else document | {"value": condition.value}


def _flag(members: Members) -> Flag:
    problems = members.problems
    key = members.key("key")
    kind = members.choice("type", TYPES, default="boolean")
    variants = members.items("variants", MAX_VARIANTS, lambda one, path: read_variant(one, path, kind, problems))
    value = read_value(members.take("value"), kind, members.field("value"), problems)
    default_value = read_value(members.take("defaultValue"), kind, members.field("defaultValue"), problems)
    flag = Flag(
        key=key,
        name=members.text("name", longest=200) or key,
        type=kind,  # type: ignore[arg-type]
        value=True if kind == "boolean" and value is None else value,
        default_value=off_value(kind) if default_value is None else default_value,
        description=members.text("description"),
        is_enabled=members.boolean("isEnabled", True),
        rollout_percentage=members.number("rolloutPercentage", 100.0, 0, 100),
        conditions=members.items("conditions", MAX_CONDITIONS, lambda one, path: read_condition(one, path, problems)),
        variants=variants,
        rules=members.items("rules", MAX_RULES, RuleReader(kind, problems, read_prerequisite).read),
        prerequisites=members.items(
            "prerequisites", MAX_PREREQUISITES, lambda one, path: read_prerequisite(one, path, problems)
        ),
        tags=_tags(members),
        owner=members.text("owner", longest=200),
        hash_attribute=read_hash_attribute(members, "hashAttribute") or "id",
        schedule=read_schedule(members),
        **read_history(members),
    )
    members.finish()
    _check_flag(flag, members)
    return flag


def _check_flag(flag: Flag, members: Members) -> None:
    problems = members.problems
    if flag.rules and (flag.conditions or flag.rollout_percentage < 100):
        message = "A flag has rules, or conditions and rolloutPercentage: move those into a rule."
        problems.add("rules", "conflict", message)
    if not flag.rules and flag.value is None and not flag.variants:
        problems.add("value", "field_missing", f"value is required for a flag of type {flag.type}.")
    if not flag.rules and len(flag.variants) == 1:
        problems.add("variants", "conflict", "One variant cannot be split: add another, or use value.")
    for index, rule in enumerate(flag.rules):
        if rule.force is None and not rule.variations and flag.value is None:
            message = "The rule needs force or variations, or the flag a value."
            problems.add(f"rules[{index}].force", "field_missing", message)
    for name, keys in (
        ("variants", [one.key for one in flag.variants]),
        ("rules", [one.id for one in flag.rules]),
    ):
        for index, key in enumerate(keys):
            if key and key in keys[:index]:
                message = f"{key} is there twice; give each its own."
                problems.add(f"{name}[{index}].{'key' if name == 'variants' else 'id'}", "duplicate", message)
    if flag.variants and sum(one.weight for one in flag.variants) <= 0:
        problems.add("variants", "out_of_range", "No variant has a weight; give one of them more than 0.")
    _check_self_reference(flag, problems)


def _check_self_reference(flag: Flag, problems: Problems) -> None:
    own = [one.flag for one in flag.prerequisites] + [one.flag for rule in flag.rules for one in rule.prerequisites]
    if flag.key and flag.key in own:
        message = f"{flag.key} cannot be its own prerequisite; name another flag."
        problems.add("prerequisites", "prerequisite_cycle", message)


def _segment(members: Members) -> Segment:
    problems = members.problems
    key = members.key("key")
    conditions = members.items("conditions", MAX_CONDITIONS, lambda one, path: read_condition(one, path, problems))
    if members.has("condition"):
        conditions = (*conditions, read_condition(members.take("condition"), members.field("condition"), problems))
    if not conditions:
        problems.add("conditions", "field_missing", "A segment needs a condition.")
    segment = Segment(
        key=key,
        name=members.text("name", longest=200) or key,
        conditions=conditions,
        description=members.text("description"),
        **read_history(members),
    )
    members.finish()
    return segment


def read_prerequisite(document: Any, path: str, problems: Problems) -> Prerequisite:
    """Another flag: `{"flag": "new_ui"}` must be true, or what `value` or `condition` beside it says."""
    members = Members(document, path, problems)
    key = members.key("key" if members.has("key") and not members.has("flag") else "flag")
    condition = members.take("condition")
    value = members.take("value")
    members.finish()
    if condition is None:
        if value is None:
            return Prerequisite(key, _IS_ON)
        check_json(value, members.field("value"), problems, 2)
        return Prerequisite(key, {"value": value})
    if isinstance(condition, Mapping) and condition and is_operator_object(condition) and "$not" not in condition:
        condition = {"value": condition}
    before = len(problems.found)
    check_condition(condition, members.field("condition"), problems)
    return Prerequisite(key, condition if len(problems.found) == before else _IS_ON)


def _tags(members: Members) -> tuple[str, ...]:
    def read(tag: Any, path: str) -> str:
        if isinstance(tag, str) and 0 < len(tag) <= MAX_KEY_CHARACTERS and check_json(tag, path, members.problems, 0):
            return tag
        members.problems.add(path, "wrong_type", f"A tag is text of 1 to {MAX_KEY_CHARACTERS} characters.")
        return ""

    return members.items("tags", MAX_TAGS, read)


def read_history(members: Members) -> dict[str, Any]:
    """What the service keeps of a definition (see `encode_history`), as arguments of it."""
    return {
        "version": members.whole("version", 1, 1, LARGEST_WHOLE_NUMBER),
        "created_by": members.text("createdBy", longest=200),
        "created_at": members.moment("createdAt"),
        "updated_by": members.text("updatedBy", longest=200),
        "updated_at": members.moment("updatedAt"),
    }


def encode_history(one: Flag | Segment | Experiment) -> dict[str, Any]:
    """What the service keeps of a definition: its version, and who made and changed it when."""
    document = {"version": one.version, "createdBy": one.created_by, "updatedBy": one.updated_by}
    moments: dict[str, datetime | None] = {"createdAt": one.created_at, "updatedAt": one.updated_at}
    return document | {name: moment_text(moment) for name, moment in moments.items() if moment is not None}


def accepted(one: _Definition | None, document: Any, problems: Problems) -> _Definition:
    """The definition that was read, where nothing is wrong with its document. Raises `DefinitionInvalid`."""
    if not problems.found:
        size = len(msgspec.json.encode(document))
        if size > MAX_DEFINITION_BYTES:
            problems.found.append(_too_large(size))
    if problems.found or one is None:
        raise DefinitionInvalid(problems.found)
    return one


def _too_large(size: int) -> Problem:
    return Problem("", "too_large", f"The definition has {size:,} bytes; shorten it to {MAX_DEFINITION_BYTES:,}.")
