"""Which of many conditions a user fulfils, remembered by the attributes that they read.

Users are many, the countries, plans and languages by which they are told apart are few: a condition on these is looked
at once for each combination that comes, not for each user.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flags.conditions import Test

_MOST_COMBINATIONS = 1024
"""Remembered of one group of conditions; when there are more, all are forgotten."""
_LONGEST_KEY = 500
"""Longest combination that is remembered, as text: users choose what they send."""


@dataclass(slots=True)
class _Group:
    """The conditions that read the same attributes."""

    names: tuple[str, ...]
    tests: list[tuple[int, Test]] = field(default_factory=list)
    """Each with its bit."""
    known: dict[tuple[Any, ...], int] = field(default_factory=dict)
    asked: int = 0
    """How often since all were forgotten."""
    is_remembered: bool = True
    """Not where hardly a combination comes again, as with addresses."""


class Audiences:
    """Conditions, compiled. May be used by many threads: they may do the same work twice, nothing else."""

    def __init__(self, conditions: Iterable[Mapping[str, Any]], compiled: Callable[[Any], Test]) -> None:
        groups: dict[tuple[str, ...], _Group] = {}
        for number, condition in enumerate(conditions):
            names = tuple(sorted(names_read(condition)))
            group = groups.setdefault(names, _Group(names))
            group.tests.append((1 << number, compiled(condition)))
        self._groups: Sequence[_Group] = tuple(groups.values())

    def of(self, attributes: dict[str, Any]) -> int:
        """The conditions that hold: of each, in their order, one bit."""
        holding = 0
        for group in self._groups:
            if not group.is_remembered:
                holding |= _tested(group, attributes)
                continue
            group.asked += 1
            key = tuple(map(attributes.get, group.names))
            if True in key or False in key:  # to Python they are also 1 and 0
                key = (key, tuple(map(type, key)))
            try:
                found = group.known.get(key)
            except TypeError:  # a list or an object
                found = _tested(group, attributes)
            if found is None:
                found = _tested(group, attributes)
                if len(str(key)) <= _LONGEST_KEY:
                    if len(group.known) >= _MOST_COMBINATIONS:
                        group.is_remembered = group.asked > 2 * _MOST_COMBINATIONS
                        group.known.clear()
                        group.asked = 0
                    group.known[key] = found
            holding |= found
        return holding


def names_read(condition: Mapping[str, Any]) -> set[str]:
    """The attributes that a condition of the specification looks at; of a path its first name."""
    names: set[str] = set()
    for name, operand in condition.items():
        if name == "$not":
            names |= names_read(operand)
        elif name in ("$and", "$or", "$nor"):
            names = names.union(*map(names_read, operand))
        elif not name.startswith("$"):
            names.add(name.partition(".")[0])
    return names


def _tested(group: _Group, attributes: dict[str, Any]) -> int:
    holding = 0
    for bit, test in group.tests:
        if test(attributes):
            holding |= bit
    return holding
