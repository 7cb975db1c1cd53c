"""Our short form of a condition, and how it and the specification's form become one condition that all SDKs read alike.

SDKs differ where types do not fit: older ones take a missing attribute for 0, newer ones say no. So the short form asks
for the type first, and an ordering operator in the specification's form is told what null means: what it means here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from flags.conditions import CONDITION_OPERATORS, compile_condition, is_operator_object
from flags.model import AttributeCondition, Condition

SpecCondition: TypeAlias = dict[str, Any]

USER_ID_NAMES = frozenset({"userId", "targetingKey"})
"""Other names of the attribute `id`."""
MATCHES_ALL: Mapping[str, Any] = {}
MATCHES_NONE: Mapping[str, Any] = {"$not": {}}

_ORDERING = frozenset({"$lt", "$lte", "$gt", "$gte"})
_ORDERED_TYPES = ("number", "string")
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
    """A condition that is read alike by all SDKs where an attribute is missing; a user's attributes by their names.

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
            parts.append(_with_null(canonical_attribute(name) if is_of_user else name, operand))
    return all_of(parts)


def _of_one(condition: Condition) -> SpecCondition:
    if isinstance(condition, AttributeCondition):
        return OPERATORS[condition.operator](canonical_attribute(condition.attribute), condition.value)
    return told_apart(condition)


def _with_null(attribute: str, operand: Any) -> SpecCondition:
    if (
        not is_operator_object(operand)
        or not _orders(operand)
        or "$exists" in operand
        or operand.get("$type") in _ORDERED_TYPES
    ):
        return {attribute: operand}
    if compile_condition({"value": operand})({"value": None}):
        return {"$or": [{attribute: operand}, {attribute: None}]}
    return {attribute: {"$exists": True, **operand}}


def _orders(operand: Mapping[str, Any]) -> bool:
    return any(
        name in _ORDERING or (name == "$not" and is_operator_object(below) and _orders(below))
        for name, below in operand.items()
    )
