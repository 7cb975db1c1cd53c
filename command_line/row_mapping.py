"""From rows of a file to events of the API, as a mapping says.

A mapping has, for each field of the event, where its value comes from:

    eventName: event_type                              a column
    eventName: "'review_submitted'"                    a constant, in quotes of its own
    userId: "{{ CustomerID or 'anonymous-' ~ InvoiceNo }}"          a Jinja2 expression over the columns of the row
    properties.revenue: "{{ (Quantity|decimal) * (UnitPrice|decimal) }}"     exact decimal arithmetic
    properties.rating:number: rating                   text turned into another type: number, boolean or json

A row for which `eventName` comes out empty is no event and is skipped; other empty values are left out.
"""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import yaml
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment

from command_line.row_sources import Row

_TEXT_FIELDS = ("eventName", "eventType", "userId", "anonymousId", "sessionId", "eventId")
_OBJECT_FIELDS = ("properties", "context")
FIELDS = (*_TEXT_FIELDS, "timestamp", *_OBJECT_FIELDS)
"""Fields of an event that a mapping can fill; also single members, for example `properties.page`."""

_TARGET = re.compile(rf"(?P<field>{'|'.join(FIELDS)})(\.(?P<member>[^:]+))?(:(?P<type>number|boolean|json|string))?")
_EXPRESSION = re.compile(r"\{\{((?:(?!\}\}).)*)\}\}", re.DOTALL)
# An id made of a row must not change with the version of this program.
_NAMESPACE = uuid.UUID("6f9c2f3e-52c4-5e0b-9d3c-0c1f1f6f2a11")

_Read: TypeAlias = Callable[[Row], Any]


class WrongMapping(Exception):
    """The mapping cannot be used with this file; the message says which part and why."""


class UnmappableRow(Exception):
    """One row cannot become an event."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read_mapping(parts: Iterable[str]) -> dict[str, str]:
    """Put a mapping together from `field=value` pairs and names of YAML files; what comes later wins.

    Raises:
        WrongMapping: a part is neither, or a file is not a flat or nested mapping of text.
    """
    mapping: dict[str, str] = {}
    for part in parts:
        if part.endswith((".yml", ".yaml")) and "=" not in part:
            mapping |= _read_file(Path(part))
            continue
        field, equals, value = part.partition("=")
        if not equals:
            raise WrongMapping(f"{part}: write field=column, or the name of a .yml file")
        mapping[field.strip()] = value.strip()
    return mapping


class EventMapping:
    """A mapping made ready for one file."""

    def __init__(self, mapping: Mapping[str, str], columns: tuple[str, ...] | None) -> None:
        """Compile a mapping of fields to values; an empty one takes columns that are named like fields.

        Args:
            mapping: see the head of this module.
            columns: the file's columns; None when they are not known, then a missing column is an empty value.

        Raises:
            WrongMapping: an unknown field or column, or an expression that does not compile.
        """
        if not mapping:
            mapping = {name: name for name in columns or FIELDS if _TARGET.fullmatch(name)}
        if "eventName" not in mapping:
            raise WrongMapping("say where eventName comes from, for example --map eventName=event_type")
        self._name = _text_of("eventName", _reader("eventName", mapping["eventName"], columns))
        self._fields: list[tuple[str, _Read]] = []
        self._members: list[tuple[str, str, _Read]] = []
        for target, value in mapping.items():
            matched = _TARGET.fullmatch(target)
            if matched is None or (matched["field"] not in _OBJECT_FIELDS and (matched["member"] or matched["type"])):
                raise WrongMapping(
                    f"{target} is not a field of an event; known are {', '.join(FIELDS)}, properties.<name>"
                )
            read = _reader(target, value, columns)
            if matched["field"] in _OBJECT_FIELDS:
                typed = _TYPES[matched["type"] or ("string" if matched["member"] else "json")]
                self._members.append((matched["field"], matched["member"] or "", _converted(target, read, typed)))
            elif target != "eventName":
                self._fields.append((target, _timestamp_of(read) if target == "timestamp" else _text_of(target, read)))

    def event(self, row: Row, identity: str, number: int) -> dict[str, Any] | None:
        """The event that a row stands for, None when it stands for none.

        Without a mapped `eventId` the id is made of the file's identity, the row's number and the event's name, so that
        importing a file again gives the same events.

        Raises:
            UnmappableRow: an expression fails, a type does not fit, or a mapped timestamp is empty.
        """
        name = self._name(row)
        if name is None:
            return None
        event: dict[str, Any] = {"eventName": name}
        for field, read in self._fields:
            if (value := read(row)) is not None:
                event[field] = value
        for field, member, read in self._members:
            value = read(row)
            if value is None or value == "":
                continue
            if member:
                event.setdefault(field, {})[member] = value
            elif isinstance(value, dict):
                event[field] = value | event.get(field, {})
            else:
                raise UnmappableRow(field, f"{field} must be an object")
        if "eventId" not in event:
            event["eventId"] = str(uuid.uuid5(_NAMESPACE, f"{identity}/{number}/{name}"))
        return event


def _read_file(path: Path) -> dict[str, str]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongMapping(f"{path}: {error}") from error
    mapping: dict[str, str] = {}
    for field, value in (content if isinstance(content, dict) else {"": content}).items():
        members = {f"{field}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {field: value}
        for target, one in members.items():
            if not isinstance(one, str):
                raise WrongMapping(f"{path}: {target or 'the file'} must be text")
            mapping[target] = one
    return mapping


def _decimal(value: object) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value).strip())


_jinja = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_jinja.filters["decimal"] = _decimal


def _reader(target: str, value: str, columns: tuple[str, ...] | None) -> _Read:
    """A function that finds the value in a row."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return lambda row: value[1:-1]
    if "{{" not in value:
        if columns is not None and value not in columns:
            raise WrongMapping(f"{target}: the file has no column {value}; it has {', '.join(columns)}")
        return lambda row: row.get(value)
    try:
        names = meta.find_undeclared_variables(_jinja.parse(value)) - {"row"}
        if columns is not None and (unknown := names.difference(columns)):
            raise WrongMapping(f"{target}: the file has no column {', '.join(sorted(unknown))}")
        whole = _EXPRESSION.fullmatch(value.strip())
        # A lone expression keeps the type of its value; between other text it becomes text.
        compiled: Callable[..., Any] = (
            _jinja.compile_expression(whole[1], undefined_to_none=False) if whole else _jinja.from_string(value).render
        )
    except TemplateError as error:
        raise WrongMapping(f"{target}: {error}") from error
    absent = dict.fromkeys(names) if columns is None else {}

    def evaluate(row: Row) -> Any:
        try:
            return compiled(absent | row | {"row": row} if columns is None else {**row, "row": row})
        except (TemplateError, ArithmeticError, TypeError, ValueError, AttributeError, LookupError) as error:
            raise UnmappableRow(target, f"{target}: {type(error).__name__} {error}".rstrip()) from error

    return evaluate


def _text_of(target: str, read: _Read) -> _Read:
    def text(row: Row) -> str | None:
        value = read(row)
        if value is None or value == "":
            return None
        if isinstance(value, bool | list | dict):
            raise UnmappableRow(target, f"{target} must be text, not {value!r}")
        # Nullable whole numbers come as floating point from Parquet.
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

    return text


def _timestamp_of(read: _Read) -> _Read:
    def timestamp(row: Row) -> str | int | Decimal | float:
        value = read(row)
        if isinstance(value, datetime | date):
            return value.isoformat()
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return value
        if not isinstance(value, str) or not value.strip():
            raise UnmappableRow("timestamp", "timestamp is empty")
        return int(value) if value.isdecimal() and len(value) > len("YYYYMMDD") else value

    return timestamp


def _converted(target: str, read: _Read, convert: Callable[[Any], Any]) -> _Read:
    def converted(row: Row) -> Any:
        value = read(row)
        if value is None or value == "":
            return None
        try:
            return convert(value)
        except (ValueError, InvalidOperation, KeyError, TypeError) as error:
            raise UnmappableRow(target, f"{target}: {value!r} does not fit") from error

    return converted


def _number(value: Any) -> Decimal | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _decimal(value)
    if not number.is_finite():
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    return (
        value if isinstance(value, bool) else {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
    )


def _json(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str) else value


_TYPES: dict[str, Callable[[Any], Any]] = {
    "string": lambda value: value,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
}
