"""The operators of a condition that look at one value and need no other condition: compilers of their operands."""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

import re2

from flags.hashing import number_text

Test: TypeAlias = Callable[[Any], bool]

REGEX_MEMORY_BYTES = 1 << 20
"""Most memory of one compiled regular expression; one that needs more is refused."""
TYPES = ("string", "number", "boolean", "array", "object", "null")
"""What `$type` can be asked for."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BUILD = re.compile(r"^v|\+.*$")
_VERSION_PARTS = re.compile(r"[-.]")
_VERSION_DIGITS = 5
_SEMANTIC_PARTS = 3
_LARGEST_INDEX = 2**32 - 1


def type_of(value: Any) -> str:
    """The JSON type of a value: one of `TYPES`, or "unknown"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, Mapping) else "unknown"


def compile_regex(pattern: str, *, ignores_case: bool = False) -> Any:
    """A regular expression of RE2: its time grows with the text only, whatever the pattern is.

    Raises:
        re2.error: RE2 does not take the pattern: it looks around or back, or takes too much memory.
        UnicodeEncodeError: it is cut within a character.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = REGEX_MEMORY_BYTES
    options.case_sensitive = not ignores_case
    return re2.compile(pattern, options)


def is_same(expected: Any, value: Any) -> bool:
    """Whether two JSON values are written alike: types within count, and so does the order of an object's members."""
    kind = type_of(expected)
    if kind != type_of(value):
        return False
    if kind == "array":
        return len(expected) == len(value) and all(map(is_same, expected, value))
    if kind == "object":
        names = _names_in_order(expected)
        return names == _names_in_order(value) and all(is_same(expected[name], value[name]) for name in names)
    return bool(expected == value)


def membership(values: Iterable[Any], *, ignores_case: bool = False) -> Test:
    """Whether a value, or one value of a list, is among `values`. Objects and lists are equal to nothing."""
    texts = frozenset(one.lower() if ignores_case else one for one in values if isinstance(one, str))
    numbers = frozenset(one for one in values if type_of(one) == "number")
    others = frozenset(one for one in values if one is None or isinstance(one, bool))

    def has(value: Any) -> bool:
        if isinstance(value, str):
            return (value.lower() if ignores_case else value) in texts
        if value is None or isinstance(value, bool):
            return value in others
        return isinstance(value, int | float) and value in numbers

    def has_one(value: Any) -> bool:
        if type(value) is str and not ignores_case:
            return value in texts
        return any(map(has, value)) if isinstance(value, list) else has(value)

    return has_one


def literal(expected: Any) -> Test:
    """Whether a value is this one."""
    if isinstance(expected, str):
        return lambda value: isinstance(value, str) and value == expected
    if expected is None or isinstance(expected, bool):
        return lambda value: value is expected
    return lambda value: is_same(expected, value)


def padded_version(value: str) -> str:
    """A version as text that sorts as versions do: `v1.10.0` becomes `    1-   10-    0-~`, after any pre-release."""
    parts = _VERSION_PARTS.split(_BUILD.sub("", value or "0"))
    if len(parts) == _SEMANTIC_PARTS:
        parts.append("~")
    return "-".join(part.rjust(_VERSION_DIGITS) if part.isascii() and part.isdigit() else part for part in parts)


def _names_in_order(value: Mapping[str, Any]) -> list[str]:
    """Members in JavaScript's order: numbers in ascending order come first."""
    numbers = [name for name in value if _is_small_number(name)]
    return sorted(numbers, key=int) + [name for name in value if not _is_small_number(name)]


def _is_small_number(name: str) -> bool:
    is_plain = name.isascii() and name.isdigit() and len(name) <= 10 and (name == "0" or name[0] != "0")
    return is_plain and int(name) < _LARGEST_INDEX


def _never(_: Any) -> bool:
    return False


def _equal(operand: Any) -> Test:
    if isinstance(operand, list | Mapping):
        return _never
    return literal(operand)


def _not(compile_test: Callable[[Any], Test], operand: Any) -> Test:
    test = compile_test(operand)
    return lambda value: not test(value)


def _number_of(value: Any) -> int | float:
    """What JavaScript makes of a value that it compares with a number."""
    if value is None:
        return 0
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return 0
        return float(text) if _NUMBER.fullmatch(text) else math.nan
    return math.nan


def _text_key(text: str) -> str | bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _ordered(compare: Callable[[Any, Any], bool], operand: Any) -> Test:
    number = _number_of(operand)
    if not isinstance(operand, str):
        return lambda value: compare(_number_of(value), number)
    is_ascii, key = operand.isascii(), _text_key(operand)

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return compare(_number_of(value), number)
        # In the order of UTF-16 units, which is that of the characters below U+10000.
        return compare(value, operand) if is_ascii and value.isascii() else compare(_text_key(value), key)

    return test


def _version_text(value: Any) -> str:
    if isinstance(value, str):
        return padded_version(value)
    number = float(value) if abs(value) < 1e300 else math.inf
    return padded_version(number_text(number) if math.isfinite(number) else str(number))


def _version(compare: Callable[[Any, Any], bool], on_mismatch: bool, operand: Any) -> Test:
    kind = type_of(operand)
    if kind not in ("string", "number"):
        return lambda _: on_mismatch
    expected = _version_text(operand)
    return lambda value: compare(_version_text(value), expected) if type_of(value) == kind else on_mismatch


def _regex(ignores_case: bool, is_wanted: bool, operand: Any) -> Test:
    try:
        search = compile_regex(operand, ignores_case=ignores_case).search
    except (re2.error, UnicodeEncodeError, TypeError, AttributeError):
        return _never

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return not is_wanted
        try:
            return (search(value) is not None) is is_wanted
        except UnicodeEncodeError:
            return not is_wanted

    return test


def _among(ignores_case: bool, is_wanted: bool, operand: Any) -> Test:
    if not isinstance(operand, list):
        return _never
    test = membership(operand, ignores_case=ignores_case)
    return test if is_wanted else lambda value: not test(value)


def _exists(operand: Any) -> Test:
    return (lambda value: value is not None) if operand else (lambda value: value is None)


def _type(operand: Any) -> Test:
    return lambda value: type_of(value) == operand


VALUE_OPERATORS: Mapping[str, Callable[[Any], Test]] = {
    "$eq": _equal,
    "$ne": partial(_not, _equal),
    "$lt": partial(_ordered, operator.lt),
    "$lte": partial(_ordered, operator.le),
    "$gt": partial(_ordered, operator.gt),
    "$gte": partial(_ordered, operator.ge),
    "$veq": partial(_version, operator.eq, False),
    "$vne": partial(_version, operator.ne, True),
    "$vlt": partial(_version, operator.lt, False),
    "$vlte": partial(_version, operator.le, False),
    "$vgt": partial(_version, operator.gt, False),
    "$vgte": partial(_version, operator.ge, False),
    "$in": partial(_among, False, True),
    "$nin": partial(_among, False, False),
    "$ini": partial(_among, True, True),
    "$nini": partial(_among, True, False),
    "$regex": partial(_regex, False, True),
    "$regexi": partial(_regex, True, True),
    "$notRegex": partial(_regex, False, False),
    "$notRegexi": partial(_regex, True, False),
    "$exists": _exists,
    "$type": _type,
}
