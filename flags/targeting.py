"""Our short form of a condition, and how it and the specification's form become one condition that all SDKs read alike.

SDKs differ where types do not fit: to older ones a missing attribute is 0 and "8" is more than 5, to newer ones not. So
both forms ask for the type before they compare: a flag never orders values of different types.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from flags.conditions import CONDITION_OPERATORS, is_operator_object
from flags.model import AttributeCondition, Condition
from flags.operators import type_of

SpecCondition: TypeAlias = dict[str, Any]

USER_ID_NAMES = frozenset({"userId", "targetingKey"})
"""Other names of the attribute `id`."""
MATCHES_ALL: Mapping[str, Any] = {}
MATCHES_NONE: Mapping[str, Any] = {"$not": {}}

_ORDERING = frozenset({"$lt", "$lte", "$gt", "$gte"})
_HOLDS_NEVER: Mapping[str, Any] = {"$in": []}
_SPECIAL = re.compile(r"([\\^$.|?*+()\[\]{}/])")


def canonical_attribute(name: str) -> str:
    """The name under which an attribute is read."""
    return "id" if name in USER_ID_NAMES else name


def _text(pattern: str) -> SpecCondition:
    return {"$type": "string", "$regex": pattern}


def _escaped(value: Any) -> str:
    return _SPECIAL.sub(r"\\\1", str(value))


def _contains(attribute: str, value: Any) -> SpecCondition:
    among = {attribute: {"$in": [value]}}
    return {"$or": [among, {attribute: _text(_escaped(value))}]} if isinstance(value, str) else among


def _compared(name: str) -> Callable[[str, Any], SpecCondition]:
    return lambda attribute, value: {
        attribute: {"$type": "string" if isinstance(value, str) else "number", name: value}
    }


def _plain(name: str) -> Callable[[str, Any], SpecCondition]:
    return lambda attribute, value: {attribute: {name: value}}


def _version(name: str) -> Callable[[str, Any], SpecCondition]:
    return lambda attribute, value: {attribute: {"$type": "string", name: value}}


OPERATORS: Mapping[str, Callable[[str, Any], SpecCondition]] = {
    "equals": _plain("$eq"),
    "not_equals": _plain("$ne"),
    "in": _plain("$in"),
    "not_in": _plain("$nin"),
    "contains": _contains,
    "not_contains": lambda attribute, value: {"$not": _contains(attribute, value)},
    "starts_with": lambda attribute, value: {attribute: _text(f"^{_escaped(value)}")},
    "ends_with": lambda attribute, value: {attribute: _text(f"{_escaped(value)}$")},
    "matches": lambda attribute, value: {attribute: _text(value)},
    "greater_than": _compared("$gt"),
    "greater_or_equal": _compared("$gte"),
    "less_than": _compared("$lt"),
    "less_or_equal": _compared("$lte"),
    "exists": lambda attribute, _: {attribute: {"$exists": True}},
    "not_exists": lambda attribute, _: {attribute: {"$exists": False}},
    "before": _compared("$lt"),
    "after": _compared("$gt"),
    "version_equals": _version("$veq"),
    "version_not_equals": _plain("$vne"),
    "version_greater_than": _version("$vgt"),
    "version_greater_or_equal": _version("$vgte"),
    "version_less_than": _version("$vlt"),
    "version_less_or_equal": _version("$vlte"),
}
"""Operators of the short form. Times and versions are texts: times compare well when all are UTC in one notation."""

_SYNONYMS = {
    "equals": "== = === eq equal equal_to is",
    "not_equals": "!= !== <> ne neq not_equal not_equal_to is_not",
    "in": "one_of is_one_of any_of is_in",
    "not_in": "nin none_of is_not_one_of is_not_in",
    "contains": "includes has",
    "not_contains": "does_not_contain not_includes excludes",
    "starts_with": "begins_with prefix",
    "ends_with": "suffix",
    "matches": "regex match matches_regex =~",
    "greater_than": "> gt",
    "greater_or_equal": ">= gte ge greater_than_or_equal greater_than_or_equals",
    "less_than": "< lt",
    "less_or_equal": "<= lte le less_than_or_equal less_than_or_equals",
    "exists": "is_set present",
    "not_exists": "is_not_set not_present missing",
    "before": "date_before is_before",
    "after": "date_after is_after",
    "version_equals": "veq semver_eq semver_equals",
    "version_not_equals": "vne semver_neq semver_not_equals",
    "version_greater_than": "vgt semver_gt semver_greater_than",
    "version_greater_or_equal": "vgte semver_gte semver_greater_or_equal version_greater_than_or_equal",
    "version_less_than": "vlt semver_lt semver_less_than",
    "version_less_or_equal": "vlte semver_lte semver_less_or_equal version_less_than_or_equal",
}
_NAMES = {other: name for name, others in _SYNONYMS.items() for other in others.split()} | {
    name: name for name in OPERATORS
}
_WORD_BEGINS = re.compile(r"(?<=[a-z])(?=[A-Z])|[\s-]+")


def operator_named(name: str) -> str | None:
    """The operator that goes by this name or a synonym: `gt`, `greaterThan`, `>`, `$gt`; None when there is none."""
    return _NAMES.get(_WORD_BEGINS.sub("_", name.strip().removeprefix("$")).lower())


def specification_condition(conditions: Sequence[Condition]) -> SpecCondition:
    """One condition of the specification that holds when all of these do; an empty one when there are none."""
    return all_of([_of_one(one) for one in conditions])


def all_of(parts: Sequence[Mapping[str, Any]]) -> SpecCondition:
    """A condition that holds when all parts do."""
    needed = [dict(part) for part in parts if part]
    names = [name for part in needed for name in part]
    if len(set(names)) == len(names):
        return {name: value for part in needed for name, value in part.items()}
    return {"$and": needed}


def any_of(parts: Sequence[Mapping[str, Any]]) -> SpecCondition:
    """A condition that holds when one part does; none does when there are none."""
    if not parts:
        return dict(MATCHES_NONE)
    return dict(parts[0]) if len(parts) == 1 else {"$or": [dict(part) for part in parts]}


def told_apart(condition: Mapping[str, Any], *, is_of_user: bool = True) -> SpecCondition:
    """A condition that all SDKs read alike where types do not fit; a user's attributes by their own names.

    Args:
        condition: one of the specification.
        is_of_user: whether it is about a user's attributes, not about the value of a prerequisite.
    """
    parts: list[SpecCondition] = []
    for name, operand in condition.items():
        if name in ("$and", "$or", "$nor"):
            parts.append({name: [told_apart(one, is_of_user=is_of_user) for one in operand]})
        elif name == "$not":
            parts.append({name: told_apart(operand, is_of_user=is_of_user)})
        elif name in CONDITION_OPERATORS:
            parts.append({name: operand})
        else:
            parts.append({canonical_attribute(name) if is_of_user else name: _typed(operand)})
    return all_of(parts)


def _of_one(condition: Condition) -> SpecCondition:
    if isinstance(condition, AttributeCondition):
        return OPERATORS[condition.operator](canonical_attribute(condition.attribute), condition.value)
    return told_apart(condition)


def _typed(operand: Any) -> Any:
    """An operand whose ordering operators ask for the type of what they are given to compare."""
    if not is_operator_object(operand):
        return operand
    typed = {name: _typed_below(name, below) for name, below in operand.items()}
    compared = {type_of(below) for name, below in operand.items() if name in _ORDERING}
    if not compared:
        return typed
    kinds = compared | ({operand["$type"]} if "$type" in operand else set())
    return {"$type": kinds.pop(), **typed} if len(kinds) == 1 else dict(_HOLDS_NEVER)


def _typed_below(name: str, below: Any) -> Any:
    if name in ("$not", "$size"):
        return _typed(below)
    if name == "$all":
        return [_typed(one) for one in below]
    if name == "$elemMatch":
        is_of_values = is_operator_object(below) and not below.keys() & CONDITION_OPERATORS - {"$not"}
        return _typed(below) if is_of_values else told_apart(below, is_of_user=False)
    return below
