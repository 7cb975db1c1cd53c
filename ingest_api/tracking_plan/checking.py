"""Events against their plan: one typed decode when all is well, a reading member by member to say what is not."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec

from ingest_api.tracking_plan.declarations import LONGEST_MATCHED_TEXT, EventPlan, PropertyPlan, PropertyType

PLAN_CODES = {
    "plan_event_unknown": "The tracking plan does not have an event of this name.",
    "plan_property_missing": "A property that the tracking plan requires is absent or null.",
    "plan_property_wrong_type": "A property has another type than the tracking plan says.",
    "plan_property_not_allowed": "A property has a value that is not among those of the tracking plan.",
    "plan_property_mismatch": "A property does not match the pattern or the range of the tracking plan.",
    "plan_property_unknown": "The event has a property that the tracking plan does not have.",
}
"""Every way in which an event can differ from its plan: a warning, or where the plan is enforced a rejection."""
MAX_VIOLATIONS = 20
"""An event may break its plan in any number of ways; so many are named."""
DECIMAL_TEXT = "[-+]?[0-9]+([.][0-9]*)?([eE][-+]?[0-9]{1,2})?"
"""What the warehouse reads as an amount."""
TIMESTAMP_TEXT = (
    "(19[0-9]{2}|2[0-2][0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    "([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
"""ISO 8601: a date, or a date and a time; no zone means UTC."""
EARLIEST_MS, LATEST_MS = 100_000_000_000, 10_413_791_999_999
"""Milliseconds since 1970, up to the year 2299. A smaller number was meant as seconds, as in an event's timestamp."""
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1
_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing about an event that is not as planned."""

    code: str
    """One of `PLAN_CODES`."""
    field: str
    """For example `properties.revenue`."""
    message: str
    refuses: bool = False
    """Whether the event is to be rejected for it; else it is taken and its sender is told."""


class EventCheck:
    """The compiled plan of one event."""

    def __init__(self, plan: EventPlan) -> None:
        self._is_open = plan.unknown_properties == "allow"
        self._refuses = plan.mode == "enforce"
        self._refuses_unknown = self._refuses and plan.unknown_properties == "enforce"
        self._checks = {one.name: _PropertyCheck(one) for one in plan.properties}
        # Members of a struct are identifiers, names of properties any text.
        members = {f"p{index}": one for index, one in enumerate(self._checks.values())}
        self._struct = msgspec.json.Decoder(
            msgspec.defstruct(
                "Properties",
                [(member, one.member_type) if one.plan.required else (member, one.member_type | None, None)
                 for member, one in members.items()],
                rename={member: one.plan.name for member, one in members.items()},
                forbid_unknown_fields=not self._is_open,
                kw_only=True,
                gc=False,
            )
        )  # fmt: skip
        self._bounded_texts = [(member, *one.bounds) for member, one in members.items() if one.has_bounds_of_text]

    def __call__(self, properties: str) -> tuple[Violation, ...]:
        """See `TrackingPlan.check`."""
        try:
            decoded = self._struct.decode(properties)
        except (msgspec.MsgspecError, RecursionError):
            return self.violations(properties)
        for member, lowest, highest in self._bounded_texts:
            value = getattr(decoded, member)
            if value.__class__ is str and not lowest <= float(value) <= highest:
                return self.violations(properties)
        return ()

    def violations(self, properties: str) -> tuple[Violation, ...]:
        """Read each property by itself: the same verdict as a call, slower, with names."""
        try:
            members = _members.decode(properties)
        except (msgspec.MsgspecError, RecursionError):
            message = "properties must be a JSON object."
            return (Violation("plan_property_wrong_type", "properties", message, self._refuses),)
        return tuple(islice(self._each_violation(members), MAX_VIOLATIONS))

    def _each_violation(self, members: dict[str, msgspec.Raw]) -> Iterator[Violation]:
        for name, check in self._checks.items():
            if (wrong := check.wrong(members.get(name, _NULL))) is not None:
                code, message = wrong
                yield Violation(code, _path(name), f"{_shown(name)} {message}", self._refuses)
        if not self._is_open:
            for name in (name for name in members if name not in self._checks):
                message = f"{_shown(name)} is not in the plan of this event."
                yield Violation("plan_property_unknown", _path(name), message, self._refuses_unknown)


class _PropertyCheck:
    """One property: what it must be, and what is wrong with a value."""

    def __init__(self, plan: PropertyPlan) -> None:
        self.plan = plan
        self.member_type = _constrained(plan)
        self.bounds = (
            -math.inf if plan.minimum is None else plan.minimum,
            math.inf if plan.maximum is None else plan.maximum,
        )
        # msgspec looks at the bounds of numbers; a decimal may also come as text.
        self.has_bounds_of_text = plan.type == "decimal" and self.bounds != (-math.inf, math.inf)
        self._decoder = msgspec.json.Decoder(_READ_AS[plan.type])

    def wrong(self, raw: msgspec.Raw) -> tuple[str, str] | None:
        """Return the code and the end of a sentence, or nothing for a good value."""
        plan = self.plan
        if bytes(raw) == b"null":
            return ("plan_property_missing", "is required.") if plan.required else None
        try:
            value = self._decoder.decode(raw)
        except (msgspec.MsgspecError, RecursionError):
            return "plan_property_wrong_type", f"must be {_MEANING[plan.type]}."
        if plan.type == "integer" and isinstance(value, float):
            if not value.is_integer():
                return "plan_property_wrong_type", f"must be {_MEANING[plan.type]}."
            value = int(value)
        try:
            msgspec.convert(value, self.member_type)
        except msgspec.ValidationError:
            return self._mismatch()
        if self.has_bounds_of_text and not self.bounds[0] <= float(value) <= self.bounds[1]:
            return self._mismatch()
        return None

    def _mismatch(self) -> tuple[str, str]:
        plan = self.plan
        if plan.enum is not None:
            return "plan_property_not_allowed", f"must be one of {', '.join(str(value) for value in plan.enum)}."
        if plan.pattern is not None:
            return (
                "plan_property_mismatch",
                f"must match {plan.pattern} and have at most {LONGEST_MATCHED_TEXT} characters.",
            )
        if plan.type == "timestamp":
            return "plan_property_wrong_type", f"must be {_MEANING[plan.type]}; this is before 1973. Was it in seconds?"
        bounds = [f"at least {plan.minimum}"] if plan.minimum is not None else []
        bounds += [f"at most {plan.maximum}"] if plan.maximum is not None else []
        return "plan_property_mismatch", f"must be {' and '.join(bounds) or 'a number of at most 64 bits'}."


def _constrained(plan: PropertyPlan) -> Any:
    """The type that msgspec decodes good values of a property as."""
    lowest, highest = plan.minimum, plan.maximum
    if plan.enum is not None:
        return Literal[plan.enum]
    match plan.type:
        case "string" if plan.pattern is not None:
            return Annotated[str, msgspec.Meta(pattern=plan.pattern, max_length=LONGEST_MATCHED_TEXT)]
        case "integer":
            lowest = SMALLEST_INTEGER if lowest is None else lowest
            return Annotated[int, msgspec.Meta(ge=lowest, le=LARGEST_INTEGER if highest is None else highest)]
        case "number" | "decimal":
            number = Annotated[float, msgspec.Meta(ge=lowest, le=highest)]
            return number if plan.type == "number" else number | _DECIMAL
        case "timestamp":
            return Annotated[float, msgspec.Meta(ge=EARLIEST_MS, le=LATEST_MS)] | _TIMESTAMP
        case _:
            return _READ_AS[plan.type]


# \Z: a dollar also matches before a line feed at the end, which the warehouse does not read.
_DECIMAL = Annotated[str, msgspec.Meta(pattern=rf"^{DECIMAL_TEXT}\Z", max_length=LONGEST_MATCHED_TEXT)]
_TIMESTAMP = Annotated[str, msgspec.Meta(pattern=rf"^{TIMESTAMP_TEXT}\Z", max_length=LONGEST_MATCHED_TEXT)]
_READ_AS: dict[PropertyType, Any] = {
    "string": str,
    "number": float,
    "integer": int | float,
    "decimal": float | _DECIMAL,
    "boolean": bool,
    "timestamp": float | _TIMESTAMP,
    # What is in them is not planned, and not decoded.
    "object": dict[str, msgspec.Raw],
    "array": list[msgspec.Raw],
}
_MEANING: dict[PropertyType, str] = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "decimal": "a number or its text, for example 49.90",
    "boolean": "true or false",
    "timestamp": "ISO 8601, for example 2026-01-31T08:30:00Z, or milliseconds since 1970",
    "object": "a JSON object",
    "array": "a JSON array",
}
_NULL = msgspec.Raw(b"null")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _shown(name: str) -> str:
    return name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}..."


def _path(name: str) -> str:
    return f"properties.{_shown(name)}"
