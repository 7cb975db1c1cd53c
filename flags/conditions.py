"""Conditions on a user's attributes in the form of the GrowthBook SDK specification v5, compiled once to closures.

`{"country": "US", "age": {"$gte": 18}}`: every member must hold. A path has dots (`address.city`); what is absent is
null. Literals are equal only to values of the same JSON type; ordering operators convert as JavaScript does (null is 0,
"8" is 8). Closures never raise, whatever the attributes are.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from flags.operators import VALUE_OPERATORS, literal, membership

Test: TypeAlias = Callable[[Any], bool]
"""What is asked of the attributes, or of one value among them."""

MAX_DEPTH = 32
"""Most conditions and operators within each other."""
CONDITION_OPERATORS = frozenset({"$and", "$or", "$nor", "$not", "$savedGroup"})
"""Members of a condition that are no attribute."""
_FIELD_OPERATORS = CONDITION_OPERATORS - {"$not"}


class ConditionInvalid(ValueError):
    """The condition is none: it is nested too deeply, or has a list where an object belongs."""


def compile_condition(condition: Any, saved_groups: Mapping[str, Any] | None = None) -> Test:
    """Return whether attributes fulfil the condition, as a function of them.

    What an unknown operator says is unknown, and what depends on it does not hold: neither itself nor its negation.

    Args:
        condition: as in the specification.
        saved_groups: by id, what `$inGroup` and `$savedGroup` refer to: a list of values, or
            `{"type": "list", "values": [...]}`, or `{"type": "condition", "condition": {...}}`.

    Raises:
        ConditionInvalid: it is malformed or deeper than `MAX_DEPTH`.
    """
    return _Compiler(saved_groups or {}).condition(condition, False, 0, frozenset())


def value_at(attributes: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none. A list has members 0, 1 and so on, and `length`."""
    current = attributes
    for name in path.split("."):
        if isinstance(current, Mapping) and name in current:
            current = current[name]
        elif isinstance(current, list) and name == "length":
            current = len(current)
        elif isinstance(current, list) and _is_index(name) and int(name) < len(current):
            current = current[int(name)]
        else:
            return None
    return current


def is_operator_object(value: Any) -> bool:
    """Whether every member is an operator. An empty object has none that fails."""
    return isinstance(value, Mapping) and all(isinstance(name, str) and name.startswith("$") for name in value)


def _is_index(name: str) -> bool:
    return len(name) <= 9 and name.isascii() and name.isdigit() and (name == "0" or name[0] != "0")


def _constant(answer: bool) -> Test:
    return lambda _: answer


def _every(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) and second(value)

    def every(value: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would cost as much as the tests
            if not test(value):
                return False
        return True

    return every


def _some(tests: list[Test]) -> Test:
    return lambda value: any(test(value) for test in tests)


def _negated(test: Test) -> Test:
    return lambda value: not test(value)


def _field(path: str, test: Test) -> Test:
    if "." in path:
        return lambda attributes: test(value_at(attributes, path))
    return lambda attributes: test(attributes.get(path) if type(attributes) is dict else value_at(attributes, path))


class _Compiler:
    """Turns conditions into closures. `unknown` is what an unknown operator answers: the opposite below a negation, so
    that the whole never holds because of it (Kleene's three values, with two)."""

    def __init__(self, saved_groups: Mapping[str, Any]) -> None:
        self._groups = saved_groups

    def condition(self, condition: Any, unknown: bool, depth: int, inside: frozenset[str]) -> Test:
        """A condition on attributes. `inside` are the groups that are being read."""
        if depth > MAX_DEPTH:
            raise ConditionInvalid(f"The condition has more than {MAX_DEPTH} levels.")
        if not isinstance(condition, Mapping):
            raise ConditionInvalid("A condition must be an object.")
        return _every([self._member(name, one, unknown, depth, inside) for name, one in condition.items()])

    def _member(self, name: str, operand: Any, unknown: bool, depth: int, inside: frozenset[str]) -> Test:
        if name == "$not":
            return _negated(self.condition(operand, not unknown, depth + 1, inside))
        if name in ("$and", "$or", "$nor"):
            if not isinstance(operand, list):
                raise ConditionInvalid(f"{name} must have a list of conditions.")
            below = not unknown if name == "$nor" else unknown
            parts = [self.condition(one, below, depth + 1, inside) for one in operand]
            if name == "$and":
                return _every(parts)
            either = _some(parts) if parts else _constant(True)
            return _negated(either) if name == "$nor" else either
        if name == "$savedGroup":
            return self._saved_group(operand, unknown, depth, inside)
        if name == "$savedGroups":
            return _constant(False)
        return _field(name, self._value(operand, unknown, depth + 1, inside))

    def _saved_group(self, reference: Any, unknown: bool, depth: int, inside: frozenset[str]) -> Test:
        group_id = reference.get("id") if isinstance(reference, Mapping) else None
        if not isinstance(group_id, str) or group_id in inside:
            return _constant(False)
        group = self._groups.get(group_id)
        if not isinstance(group, Mapping):
            return _constant(False)
        if group.get("type") == "list":
            path, values = reference.get("attributeKey", group.get("attributeKey")), group.get("values")
            if not isinstance(path, str) or not isinstance(values, list):
                return _constant(False)
            return _field(path, membership(values))
        if group.get("type") == "condition":
            return self.condition(group.get("condition"), unknown, depth + 1, inside | {group_id})
        return _constant(unknown)

    def _value(self, expected: Any, unknown: bool, depth: int, inside: frozenset[str]) -> Test:
        """What is asked of one value."""
        if depth > MAX_DEPTH:
            raise ConditionInvalid(f"The condition has more than {MAX_DEPTH} levels.")
        if not is_operator_object(expected):
            return literal(expected)
        return _every([self._operator(name, one, unknown, depth, inside) for name, one in expected.items()])

    def _operator(self, name: str, operand: Any, unknown: bool, depth: int, inside: frozenset[str]) -> Test:
        if (simple := VALUE_OPERATORS.get(name)) is not None:
            return simple(operand)
        if name == "$not":
            return _negated(self._value(operand, not unknown, depth + 1, inside))
        if name == "$size":
            size = self._value(operand, unknown, depth + 1, inside)
            return lambda value: isinstance(value, list) and size(len(value))
        if name == "$elemMatch":
            return self._element(operand, unknown, depth, inside)
        if name in ("$all", "$alli"):
            return self._all(operand, name == "$alli", unknown, depth, inside)
        if name in ("$inGroup", "$notInGroup"):
            return self._in_group(operand, name == "$inGroup", unknown)
        return _constant(False if name in _FIELD_OPERATORS else unknown)

    def _element(self, operand: Any, unknown: bool, depth: int, inside: frozenset[str]) -> Test:
        if is_operator_object(operand) and not any(name in _FIELD_OPERATORS for name in operand):
            test = self._value(operand, unknown, depth + 1, inside)
        else:
            test = self.condition(operand, unknown, depth + 1, inside)
        return lambda value: isinstance(value, list) and any(one is not None and test(one) for one in value)

    def _all(self, operand: Any, ignores_case: bool, unknown: bool, depth: int, inside: frozenset[str]) -> Test:
        if not isinstance(operand, list):
            return _constant(False)
        tests = [
            _same_but_for_case(one)
            if ignores_case and isinstance(one, str)
            else self._value(one, unknown, depth + 1, inside)
            for one in operand
        ]
        return lambda value: isinstance(value, list) and all(any(map(test, value)) for test in tests)

    def _in_group(self, group_id: Any, is_wanted: bool, unknown: bool) -> Test:
        if not isinstance(group_id, str):
            return _constant(False)
        group = self._groups.get(group_id, [])
        if isinstance(group, Mapping) and group.get("type") not in ("list", "condition"):
            return _constant(unknown)
        values = group.get("values") if isinstance(group, Mapping) and group.get("type") == "list" else group
        if not isinstance(values, list):
            return _constant(False)
        is_member = membership(values)
        return is_member if is_wanted else _negated(is_member)


def _same_but_for_case(expected: str) -> Test:
    lowered = expected.lower()
    return lambda value: isinstance(value, str) and value.lower() == lowered
