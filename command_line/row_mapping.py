"""From rows of a file to events of the API, as a mapping says.

A mapping has, for each field of the event, where its value comes from:

    eventName: event_type                              a column
    eventName: "'review_submitted'"                    a constant, in quotes of its own
    userId: "{{ CustomerID or 'anonymous-' ~ InvoiceNo }}"          a Jinja2 expression over the columns of the row
    properties.revenue: "{{ (Quantity|decimal) * (UnitPrice|decimal) }}"     exact decimal arithmetic
    properties.rating:number: rating                   text turned into another type: number, boolean or json

A row for which `eventName` comes out empty is no event and is skipped; other empty values are left out.
"""

import hashlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
import yaml

from command_line.row_expressions import (
    FailedExpression,
    WrongExpression,
    as_decimal,
    compile_expression,
    is_expression,
)
from command_line.row_sources import Row

_TEXT_FIELDS = ("eventName", "eventType", "userId", "anonymousId", "sessionId", "eventId")
_OBJECT_FIELDS = ("properties", "context")
FIELDS = (*_TEXT_FIELDS, "timestamp", *_OBJECT_FIELDS)
"""Fields of an event that a mapping can fill; also single members, for example `properties.page`."""

_TARGET = re.compile(rf"(?P<field>{'|'.join(FIELDS)})(\.(?P<member>[^:]+))?(:(?P<type>number|boolean|json|string))?")
# An id made of a row must not change with the version of this program.
_NAMESPACE = uuid.UUID("6f9c2f3e-52c4-5e0b-9d3c-0c1f1f6f2a11").bytes
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

_Convert: TypeAlias = Callable[[Any], Any]


class _Part(NamedTuple):
    """One entry of a mapping. A tuple, because it is unpacked for each row."""

    target: str
    """As the mapping writes it."""
    field: str
    member: str
    """Name within the object `field`; empty when the entry is about the field as a whole."""
    column: str
    compute: Callable[[Row], Any] | None
    """Instead of `column`, where the value is not simply one."""
    convert: _Convert
    keeps_text: bool
    """Whether text needs no `convert`."""


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
        parts = [_part(target, value, columns) for target, value in mapping.items()]
        # The name tells whether the row is an event at all; whole objects are there before their members.
        self._parts = sorted(parts, key=lambda part: (part.field != "eventName", part.member != ""))
        self._has_timestamp = "timestamp" in mapping

    def event(self, row: Row, identity: str, number: int) -> dict[str, Any] | None:
        """The event that a row stands for, None when it stands for none.

        Without a mapped `eventId` the id is made of the file's identity, the row's number and the event's name, so that
        importing a file again gives the same events.

        Raises:
            UnmappableRow: an expression fails, a type does not fit, or a mapped timestamp is empty.
        """
        event: dict[str, Any] = {}
        value: Any = None
        # A large file has a billion values: what is done for each is done here, without a call where that is possible.
        try:
            for target, field, member, column, compute, convert, keeps_text in self._parts:  # noqa: B007 - for messages
                value = row.get(column) if compute is None else compute(row)
                if value is None or value == "":
                    if field == "eventName":
                        return None
                    continue
                if not (keeps_text and value.__class__ is str):
                    value = convert(value)
                if not member:
                    event[field] = value
                elif (members := event.get(field)) is None:
                    event[field] = {member: value}
                else:
                    members[member] = value
        except FailedExpression as error:
            raise UnmappableRow(target, f"{target}: {error}") from error
        except (ValueError, InvalidOperation, KeyError, TypeError) as error:
            raise UnmappableRow(target, f"{target}: {value!r} does not fit") from error
        if self._has_timestamp and "timestamp" not in event:
            raise UnmappableRow("timestamp", "timestamp is empty")
        if "eventId" not in event:
            event["eventId"] = row_id(identity, number, event["eventName"])
        return event


def row_id(identity: str, number: int, name: str) -> str:
    """The event id of a row: `uuid.uuid5` of what makes the row what it is, at a quarter of that function's time."""
    digest = hashlib.sha1(_NAMESPACE + f"{identity}/{number}/{name}".encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"


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


def _part(target: str, value: str, columns: tuple[str, ...] | None) -> _Part:
    matched = _TARGET.fullmatch(target)
    if matched is None or (matched["field"] not in _OBJECT_FIELDS and (matched["member"] or matched["type"])):
        raise WrongMapping(f"{target} is not a field of an event; known are {', '.join(FIELDS)}, properties.<name>")
    field, member = matched["field"], matched["member"] or ""
    convert: _Convert
    if field == "timestamp":
        convert = _timestamp
    elif field not in _OBJECT_FIELDS:
        convert = _text
    else:
        convert = _TYPES[matched["type"] or "string"] if member else _object
    return _Part(target, field, member, *_source(target, value, columns), convert, convert in (_text, _as_it_is))


def _source(target: str, value: str, columns: tuple[str, ...] | None) -> tuple[str, Callable[[Row], Any] | None]:
    """The column that a value comes from, or a function that finds the value in a row."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return "", lambda row: value[1:-1]
    if is_expression(value):
        try:
            return "", compile_expression(value, columns)
        except WrongExpression as error:
            raise WrongMapping(f"{target}: {error}") from error
    if columns is not None and value not in columns:
        raise WrongMapping(f"{target}: the file has no column {value}; it has {', '.join(columns)}")
    return value, None


def _as_it_is(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool | list | dict):
        raise ValueError
    # Nullable whole numbers come as floating point from Parquet.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _timestamp(value: Any) -> str | int | Decimal | float:
    if isinstance(value, str):
        if not value.strip():
            raise ValueError
        return int(value) if value.isdecimal() and len(value) > len("YYYYMMDD") else value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    raise ValueError


def _number(value: Any) -> Decimal | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = as_decimal(value)
    if not number.is_finite():
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    return (
        value if isinstance(value, bool) else {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
    )


def _json(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str) else value


def _object(value: Any) -> dict[str, Any]:
    members = _json(value)
    if not isinstance(members, dict):
        raise ValueError
    return {**members}


_TYPES: dict[str, _Convert] = {"string": _as_it_is, "number": _number, "boolean": _boolean, "json": _json}
