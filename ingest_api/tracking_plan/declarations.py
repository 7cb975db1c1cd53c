"""What a file of the tracking plan may say, and the names that its events and properties get in the warehouse."""

import re
import unicodedata
import zlib
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, StringConstraints, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

Mode: TypeAlias = Literal["off", "warn", "enforce"]
PropertyType: TypeAlias = Literal["string", "number", "integer", "decimal", "boolean", "timestamp", "object", "array"]

LONGEST_NAME = 200
LONGEST_MATCHED_TEXT = 2000
"""A longer text never matches a pattern: the time that a careless pattern takes stays bounded."""
EVENT_COLUMNS = (
    "event_id", "occurred_at", "event_date", "visitor_id", "user_id", "client_session_id", "source", "is_bot"
)  # fmt: skip
"""Columns that every typed staging model has beside the properties."""

# Names that a column cannot have: a word of SQL, or that of a column which the model reads.
_SQL_WORD = re.compile(
    "all|and|any|array|as|asc|between|by|case|cast|create|cross|date|delete|desc|distinct|drop|else|end|except|exists|"
    "false|final|for|format|from|full|global|group|having|if|ilike|in|index|inner|insert|interval|into|is|join|key|left|"
    "like|limit|natural|not|null|offset|on|or|order|outer|prewhere|primary|right|sample|select|set|settings|table|then|"
    "timestamp|to|true|union|update|using|values|view|when|where|window|with"
)
_TAKEN = frozenset((*EVENT_COLUMNS, "event_name", "properties"))
_LONGEST_IDENTIFIER = 80
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# dbt runs whatever looks like Jinja, in SQL and in descriptions.
_Name: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f{}`\\]+$")
]
_Text: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^{}]+$")]

# Strict: `required: "yes"` or `enum: [1]` of a text is a slip, not something to convert.
_CONFIG = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, config=_CONFIG)
class PropertyPlan:
    """One property of an event.

    `enum` is for string and integer, `pattern` (found anywhere in the text, unless anchored) for string, `minimum` and
    `maximum` (both inclusive) for number, integer and decimal.
    """

    name: _Name
    type: PropertyType
    description: _Text
    required: bool = False
    enum: tuple[str | int, ...] | None = None
    pattern: str | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    pii: bool = False

    @field_validator("enum")
    @classmethod
    def _values_fit(cls, values: tuple[str | int, ...] | None, info: ValidationInfo) -> tuple[str | int, ...] | None:
        kind = {"string": str, "integer": int}.get(info.data.get("type", ""))
        if values is None or "type" not in info.data:
            return values
        if kind is None:
            raise ValueError("only a string or an integer has one")
        if not values or len(set(values)) < len(values):
            raise ValueError("has at least one value, and each once")
        if any(type(value) is not kind for value in values):
            raise ValueError(f"every value is of the type {info.data['type']}; put quotes around text")
        return values

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None, info: ValidationInfo) -> str | None:
        if pattern is None:
            return None
        if info.data.get("type", "string") != "string" or info.data.get("enum"):
            raise ValueError("only a string without enum has one")
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern

    @field_validator("minimum", "maximum")
    @classmethod
    def _is_a_bound(cls, bound: int | float | None, info: ValidationInfo) -> int | float | None:
        if bound is None:
            return None
        kind = info.data.get("type", "number")
        if kind not in ("number", "integer", "decimal") or info.data.get("enum"):
            raise ValueError("only a number, a decimal or an integer without enum has one")
        if kind == "integer" and not (isinstance(bound, int) and -(2**63) <= bound < 2**63):
            raise ValueError("the bound of an integer is a whole number of at most 64 bits")
        if abs(bound) == float("inf") or bound != bound:
            raise ValueError("is finite; leave it out where there is no bound")
        lowest = info.data.get("minimum")
        if info.field_name == "maximum" and lowest is not None and bound < lowest:
            raise ValueError("is less than minimum")
        return bound

    @property
    def column(self) -> str:
        """Its column in the typed staging model."""
        name = identifier(self.name)
        return f"property_{name}" if name in _TAKEN or name[0].isdigit() or _SQL_WORD.fullmatch(name) else name


@dataclass(frozen=True, slots=True, config=_CONFIG)
class EventPlan:
    """One kind of event. `mode` is the ceiling: an event that only warns is not refused for unknown properties."""

    name: _Name
    description: _Text
    owner: _Text
    mode: Mode = "warn"
    unknown_properties: Literal["allow", "warn", "enforce"] = "allow"
    properties: tuple[PropertyPlan, ...] = ()

    @field_validator("name")
    @classmethod
    def _has_no_space_around(cls, name: str) -> str:
        # Ingest cuts it off, so such a name would never be met.
        if name != name.strip():
            raise ValueError("has no space around it")
        return name

    @property
    def model(self) -> str:
        """Its typed staging model."""
        return f"stg_events__{identifier(self.name)}"


@dataclass(frozen=True, slots=True, config=_CONFIG)
class PlanFile:
    """One file."""

    version: Literal[1]
    events: tuple[EventPlan, ...] = ()
    unknown_events: Mode | None = None


def identifier(name: str) -> str:
    """Return a name of any script as snake case of a-z and 0-9: `utmSource` becomes `utm_source`."""
    words = unicodedata.normalize("NFKD", _WORD_BEGINS.sub("_", name).casefold())
    snake = re.sub(r"[^a-z0-9]+", "_", re.sub(r"[\u0300-\u036f]", "", words)).strip("_")
    if snake and len(snake) <= _LONGEST_IDENTIFIER:
        return snake
    return f"{snake[:_LONGEST_IDENTIFIER] or 'name'}_{zlib.crc32(name.encode()):08x}"
