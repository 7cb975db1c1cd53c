"""What a condition may say when it is written, in the short form and in the specification's form."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import re2

from flags.conditions import is_operator_object
from flags.fields import MAX_KEY_CHARACTERS, Members, Problems, check_json, check_text
from flags.model import AttributeCondition, Condition
from flags.operators import TYPES, compile_regex
from flags.targeting import OPERATORS, operator_named

MAX_CONDITION_DEPTH = 10
"""Most conditions and operators within each other."""
MAX_CONDITION_MEMBERS = 1000
"""Most conditions and operators in one condition."""
MAX_LISTED_VALUES = 10_000
"""Most values of an `in`."""
MAX_REGEX_CHARACTERS = 1000
MAX_ATTRIBUTE_CHARACTERS = 200

_NEEDS_NO_VALUE = ("exists", "not_exists")
_LISTS = ("in", "not_in")
_TEXTS = ("starts_with", "ends_with", "matches")
_ORDERED = ("greater_than", "greater_or_equal", "less_than", "less_or_equal", "before", "after")
_SHORT_FORM = frozenset({"attribute", "operator", "value"})

# What one language reads in another way than the others, or not at all: classes of characters by name, anchors but
# ^ $ \b \B, quoting, and groups that are more than groups.
_PECULIAR = re.compile(r"\\(?![dDwWsSbBtnrfv])[A-Za-z0-9]|\[\[|\(\?(?!:)")
_ESCAPED_BACKSLASH = re.compile(r"\\\\")


def read_condition(document: Any, path: str, problems: Problems) -> Condition:
    """One member of `conditions`. What is wrong with it is noted."""
    if not isinstance(document, Mapping):
        message = 'A condition is an object: {"attribute": "country", "operator": "equals", "value": "US"}.'
        problems.add(path, "wrong_type", message)
        return {}
    if document.keys() <= _SHORT_FORM and "attribute" in document and "operator" in document:
        return _short_form(document, path, problems)
    if document.keys() & {"operator", "attribute"} and not any(str(name).startswith("$") for name in document):
        return _short_form(document, path, problems)
    check_condition(document, path, problems)
    return document


def check_condition(condition: Any, path: str, problems: Problems) -> None:
    """Note what is wrong with a condition of the specification."""
    _Check(problems).condition(condition, path, MAX_CONDITION_DEPTH)


def check_regex(pattern: Any, path: str, problems: Problems) -> None:
    """Note why a regular expression cannot be used: every SDK must read it alike, and in linear time."""
    if not isinstance(pattern, str):
        problems.add(path, "wrong_type", "A regular expression must be text.")
        return
    if len(pattern) > MAX_REGEX_CHARACTERS:
        problems.add(path, "too_long", f"Shorten the regular expression to {MAX_REGEX_CHARACTERS:,} characters.")
        return
    if not check_text(pattern, path, problems):
        return
    if found := _PECULIAR.search(_ESCAPED_BACKSLASH.sub("..", pattern)):
        message = f"SDKs do not read {found[0]!r} in a regular expression alike; write it without."
        problems.add(path, "regex_invalid", message)
        return
    try:
        compile_regex(pattern)
        re.compile(pattern)
    except (re.error, re2.error, RecursionError, OverflowError, Warning) as error:
        said = error.args[0] if error.args else error
        shown = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        problems.add(path, "regex_invalid", f"The regular expression cannot be used, correct it: {shown}.")


def _short_form(document: Mapping[str, Any], path: str, problems: Problems) -> Condition:
    members = Members(document, path, problems)
    attribute = members.text("attribute", is_required=True, longest=MAX_ATTRIBUTE_CHARACTERS)
    if attribute.startswith("$"):
        message = "attribute is the name of an attribute and does not begin with $; write operators in operator."
        problems.add(members.field("attribute"), "not_allowed", message)
    name = members.text("operator", is_required=True, longest=MAX_KEY_CHARACTERS)
    operator = operator_named(name)
    value = members.take("value")
    members.finish()
    if operator is None:
        if name:
            message = f"operator must be one of {', '.join(OPERATORS)}."
            problems.add(members.field("operator"), "operator_unknown", message)
        return {}
    field = members.field("value")
    before = len(problems.found)
    _check_value(operator, value, field, problems)
    if len(problems.found) > before:
        return {}
    return AttributeCondition(attribute, operator, None if operator in _NEEDS_NO_VALUE else value)


def _check_value(operator: str, value: Any, field: str, problems: Problems) -> None:
    if operator in _NEEDS_NO_VALUE:
        if value is not None and value is not True:
            problems.add(field, "not_allowed", f"{operator} needs no value; leave it out.")
    elif value is None:
        problems.add(field, "field_missing", "value is required; for what is absent there is the operator not_exists.")
    elif operator in _LISTS:
        _check_list(value, field, problems)
    elif operator in _TEXTS or operator.startswith("version_"):
        if not isinstance(value, str):
            problems.add(field, "wrong_type", f"value must be text for {operator}.")
        elif operator == "matches":
            check_regex(value, field, problems)
        elif len(value) > MAX_REGEX_CHARACTERS:
            problems.add(field, "too_long", f"Shorten the value to {MAX_REGEX_CHARACTERS:,} characters.")
        else:
            check_text(value, field, problems)
    elif operator in _ORDERED:
        _check_ordered(value, field, problems)
    elif "contains" in operator and isinstance(value, str) and len(value) > MAX_REGEX_CHARACTERS:
        problems.add(field, "too_long", f"Shorten the value to {MAX_REGEX_CHARACTERS:,} characters.")
    else:
        _check_scalar(value, field, problems)


def _check_scalar(value: Any, field: str, problems: Problems) -> None:
    if isinstance(value, list | Mapping):
        problems.add(field, "wrong_type", "The value must be text, a number, true or false.")
    else:
        check_json(value, field, problems, 0)


def _check_ordered(value: Any, field: str, problems: Problems) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        problems.add(field, "wrong_type", "The value must be a number or text, to be compared with.")
    else:
        check_json(value, field, problems, 0)


def _check_list(value: Any, field: str, problems: Problems) -> None:
    if not isinstance(value, list):
        problems.add(field, "wrong_type", "The value must be a list.")
    elif len(value) > MAX_LISTED_VALUES:
        message = f"Leave at most {MAX_LISTED_VALUES:,} values, or mark such users by an attribute."
        problems.add(field, "too_many", message)
    else:
        for index, one in enumerate(value):
            _check_scalar(one, f"{field}[{index}]", problems)


def _check_boolean(value: Any, field: str, problems: Problems) -> None:
    if not isinstance(value, bool):
        problems.add(field, "wrong_type", "The value must be true or false.")


def _check_version(value: Any, field: str, problems: Problems) -> None:
    if not isinstance(value, str):
        problems.add(field, "wrong_type", "A version must be text.")
    else:
        check_text(value, field, problems)


def _check_type(value: Any, field: str, problems: Problems) -> None:
    if value not in TYPES:
        problems.add(field, "not_allowed", f"The type must be one of {', '.join(TYPES)}.")


_OPERANDS: Mapping[str, Callable[[Any, str, Problems], None]] = {
    **dict.fromkeys(("$eq", "$ne"), _check_scalar),
    **dict.fromkeys(("$lt", "$lte", "$gt", "$gte"), _check_ordered),
    **dict.fromkeys(("$in", "$nin", "$ini", "$nini"), _check_list),
    **dict.fromkeys(("$regex", "$regexi", "$notRegex", "$notRegexi"), check_regex),
    **dict.fromkeys(("$veq", "$vne", "$vlt", "$vlte", "$vgt", "$vgte"), _check_version),
    "$exists": _check_boolean,
    "$type": _check_type,
}


class _Check:
    """Walks through a condition of the specification; `levels` is how many it may still have."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._left = MAX_CONDITION_MEMBERS

    def condition(self, condition: Any, path: str, levels: int) -> None:
        if not isinstance(condition, Mapping):
            self._problems.add(path, "wrong_type", "A condition must be an object.")
            return
        if not self._may_go_on(path, levels, len(condition)):
            return
        for name, operand in condition.items():
            here = f"{path}.{str(name)[:MAX_ATTRIBUTE_CHARACTERS]}"
            if not isinstance(name, str):  # as YAML has them
                self._problems.add(path, "wrong_type", f"The name of an attribute is text: put quotes around {name}.")
                continue
            if name in ("$and", "$or", "$nor"):
                self._each(operand, here, levels, self.condition)
            elif name == "$not":
                self.condition(operand, here, levels - 1)
            elif name.startswith("$"):
                message = "Write $and, $or, $nor, $not or an attribute here; saved segments go into a rule's segments."
                self._problems.add(path, "operator_unknown", message)
            elif not 0 < len(name) <= MAX_ATTRIBUTE_CHARACTERS:
                message = f"The name of an attribute has 1 to {MAX_ATTRIBUTE_CHARACTERS} characters."
                self._problems.add(path, "too_long", message)
            elif check_text(name, path, self._problems):
                self._value(operand, here, levels - 1)

    def _value(self, operand: Any, path: str, levels: int) -> None:
        if not isinstance(operand, Mapping) or not is_operator_object(operand):
            if isinstance(operand, Mapping) and any(str(name).startswith("$") for name in operand):
                message = "Operators and names are mixed here; write the names with dots, beside each other."
                self._problems.add(path, "conflict", message)
            check_json(operand, path, self._problems, levels)
            return
        if not self._may_go_on(path, levels, len(operand)):
            return
        if not operand:
            self._problems.add(path, "field_missing", "An operator is missing: $eq, $in, $gte or another.")
        for name, one in operand.items():
            self._operator(name, one, f"{path}.{name[:MAX_ATTRIBUTE_CHARACTERS]}", levels)

    def _operator(self, name: str, operand: Any, path: str, levels: int) -> None:
        if (check := _OPERANDS.get(name)) is not None:
            check(operand, path, self._problems)
        elif name == "$not":
            self._value(operand, path, levels - 1)
        elif name == "$size":
            self._size(operand, path, levels)
        elif name == "$elemMatch":
            if is_operator_object(operand) and not operand.keys() & {"$and", "$or", "$nor"}:
                self._value(operand, path, levels - 1)
            else:
                self.condition(operand, path, levels - 1)
        elif name in ("$all", "$alli"):
            self._each(operand, path, levels, self._value)
        else:
            message = "There is no such operator; correct it. Saved segments go into a rule's segments."
            self._problems.add(path, "operator_unknown", message)

    def _size(self, operand: Any, path: str, levels: int) -> None:
        if is_operator_object(operand):
            self._value(operand, path, levels - 1)
        elif isinstance(operand, bool) or not isinstance(operand, int):
            self._problems.add(path, "wrong_type", "$size is a whole number or has operators.")
        else:
            check_json(operand, path, self._problems, 0)

    def _each(self, operand: Any, path: str, levels: int, check: Callable[[Any, str, int], None]) -> None:
        if not isinstance(operand, list):
            self._problems.add(path, "wrong_type", "This must be a list.")
        elif self._may_go_on(path, levels, len(operand)):
            for index, one in enumerate(operand):
                check(one, f"{path}[{index}]", levels - 1)

    def _may_go_on(self, path: str, levels: int, members: int) -> bool:
        self._left -= members
        if levels <= 0:
            message = f"A condition has at most {MAX_CONDITION_DEPTH} levels; flatten it."
            self._problems.add(path, "too_deep", message)
        elif self._left < 0:
            message = f"A condition has at most {MAX_CONDITION_MEMBERS:,} members; split it over segments."
            self._problems.add(path, "too_many", message)
        return levels > 0 and self._left >= 0
