"""Reads a JSON document member by member and collects what is wrong with it, so that all of it can be said at once."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from flags.problems import Problem

MAX_PROBLEMS = 100
"""So many are named; a document that breaks its form a million times is not answered with a million sentences."""
LARGEST_WHOLE_NUMBER = 2**53
"""JavaScript keeps whole numbers up to here."""
KEY_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:-]*"
MAX_KEY_CHARACTERS = 128
MAX_TEXT_CHARACTERS = 2000

_KEY = re.compile(KEY_PATTERN)
_SURROGATE = re.compile("[\ud800-\udfff]")
_Item = TypeVar("_Item")


class Problems:
    """The problems found so far."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, field: str, code: str, message: str) -> None:
        """Note one; a sentence that says what to do."""
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(field, code, message))


class Members:
    """The members of one object. Each is taken once; `finish` names those that nobody took.

    A member that is null counts as absent. What is wrong comes out as the default, beside a problem.
    """

    def __init__(self, document: Any, path: str, problems: Problems) -> None:
        self._path = path
        self.problems = problems
        self.is_object = isinstance(document, Mapping)
        if not self.is_object:
            problems.add(path, "wrong_type", "This must be a JSON object.")
        self._members: dict[str, Any] = dict(document) if self.is_object else {}

    def field(self, name: str) -> str:
        """The path of a member."""
        return f"{self._path}.{name}" if self._path else name

    def take(self, name: str) -> Any:
        """A member as it is."""
        return self._members.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """The names of the members that nobody took yet."""
        return tuple(self._members)

    def has(self, name: str) -> bool:
        """Whether a member is there and not null."""
        if self._members.get(name) is None:
            self._members.pop(name, None)
            return False
        return True

    def text(
        self, name: str, *, default: str = "", is_required: bool = False, longest: int = MAX_TEXT_CHARACTERS
    ) -> str:
        """A text of at most `longest` characters."""
        value = self.take(name)
        if value is None:
            if is_required:
                self._missing(name)
            return default
        if not isinstance(value, str):
            return self._wrong(name, "wrong_type", f"{name} must be text.", default)
        if is_required and not value.strip():
            return self._wrong(name, "field_missing", f"{name} is required and must not be blank.", default)
        if len(value) > longest:
            message = f"{name} has {len(value):,} characters; shorten it to {longest:,}."
            return self._wrong(name, "too_long", message, default)
        if _SURROGATE.search(value):
            message = f"{name} has half a character; send whole characters as UTF-8."
            return self._wrong(name, "text_broken", message, default)
        return value

    def key(self, name: str, *, is_required: bool = True, default: str = "") -> str:
        """A key: letters, digits and `. _ : -`."""
        value = self.text(name, is_required=is_required, longest=MAX_KEY_CHARACTERS, default=default)
        if value and not _KEY.fullmatch(value):
            message = f"{name} begins with a letter or digit and has only letters, digits and . _ : - after it."
            return self._wrong(name, "not_allowed", message, default)
        return value

    def choice(self, name: str, choices: Sequence[str], *, default: str = "") -> str:
        """One of `choices`; required where there is no default."""
        if not self.has(name) and default:
            return default
        value = self.text(name, is_required=True)
        if value and value not in choices:
            return self._wrong(name, "not_allowed", f"{name} must be one of {', '.join(choices)}.", default)
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.take(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        return self._wrong(name, "wrong_type", f"{name} must be true or false.", default)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`, both included."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._wrong(name, "wrong_type", f"{name} must be a number.", default)
        if not low <= value <= high:  # also where it is not a number
            return self._wrong(name, "out_of_range", f"{name} must be from {low:g} to {high:g}.", default)
        return float(value) if isinstance(value, float) else int(value)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        value = self.number(name, default, low, high)
        if value != int(value):
            return self._wrong(name, "wrong_type", f"{name} must be a whole number.", default)
        return int(value)

    def moment(self, name: str) -> datetime | None:
        """A time, ISO 8601 with an offset, as UTC."""
        value = self.take(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
            if moment is not None and moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        return self._wrong(
            name, "timestamp_invalid", f"{name} must be ISO 8601 with an offset: 2026-01-31T08:30:00Z.", None
        )

    def items(self, name: str, most: int, read: Callable[[Any, str], _Item]) -> tuple[_Item, ...]:
        """A list of at most `most` members, each read by `read(value, path)`."""
        value = self.take(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            return self._wrong(name, "wrong_type", f"{name} must be a list.", ())
        if len(value) > most:
            message = f"{name} has {len(value):,} members; leave at most {most:,}."
            return self._wrong(name, "too_many", message, ())
        return tuple(read(one, f"{self.field(name)}[{index}]") for index, one in enumerate(value))

    def finish(self) -> None:
        """Name the members that nobody took."""
        for name in self._members:
            shown = _SURROGATE.sub("\ufffd", str(name))[:MAX_KEY_CHARACTERS]
            message = f"There is no field {shown} here; correct its name or leave it out."
            self.problems.add(self.field(shown), "field_unknown", message)

    def _missing(self, name: str) -> None:
        self.problems.add(self.field(name), "field_missing", f"{name} is required.")

    def _wrong(self, name: str, code: str, message: str, default: _Item) -> _Item:
        self.problems.add(self.field(name), code, message)
        return default


def check_json(value: Any, path: str, problems: Problems, depth: int) -> bool:
    """Whether a value is JSON that every SDK keeps as it is, with at most `depth` levels; what is not is noted."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        if not math.isfinite(value) if isinstance(value, float) else abs(value) > LARGEST_WHOLE_NUMBER:
            problems.add(path, "not_exact", "The number must be finite, and a whole one within 2^53; send it as text.")
            return False
        return True
    if isinstance(value, str):
        return check_text(value, path, problems)
    if depth <= 0:
        problems.add(path, "too_deep", "There are too many lists and objects within each other; flatten the value.")
        return False
    if isinstance(value, list):
        answers = [check_json(one, f"{path}[{index}]", problems, depth - 1) for index, one in enumerate(value)]
        return all(answers)
    if isinstance(value, Mapping):
        names_are_text = [_check_name(name, path, problems) for name in value]
        members = [check_json(one, path, problems, depth - 1) for one in value.values()]
        return all(names_are_text) and all(members)
    problems.add(path, "wrong_type", "This is not JSON.")
    return False


def _check_name(name: Any, path: str, problems: Problems) -> bool:
    if isinstance(name, str):
        return check_text(name, path, problems)
    problems.add(path, "wrong_type", f"The name of a member is text: put quotes around {name}.")  # as YAML has them
    return False


def check_text(value: str, path: str, problems: Problems) -> bool:
    """Whether a text has no half characters."""
    if _SURROGATE.search(value):
        problems.add(path, "text_broken", "The text has half a character; send whole characters as UTF-8.")
        return False
    return True
