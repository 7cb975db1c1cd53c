"""A file of the tracking plan as a draft, written from what arrived: guesses, for someone who knows to look through."""

import json
import re
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from command_line.plan_inference import ObservedEvent, ObservedProperty
from ingest_api.tracking_plan.declarations import EventPlan, PropertyPlan, PropertyType, identifier

OWNER = "unassigned"
EVENTS_FOR_AN_ENUM, EVENTS_PER_VALUE = 100, 10
"""So many events, and so many for each value, make a list of values believable."""
_MONEY = re.compile(r"(^|_)(amount|cost|discount|fee|price|revenue|shipping|subtotal|tax|total|value)(_|$)")
_PERSON = re.compile(
    r"(^|_)(email|mail|phone|mobile|address|street|ip|birthday|birthdate|iban|passport|ssn)(_|$)"
    r"|^((first|last|full|user|customer|family|given|nick|display)_?)?name$"
)


def draft(events: Iterable[ObservedEvent]) -> Iterator[str]:
    """Yield the lines of a plan file that `load_plan` takes, comments included."""
    yield "# Drafted by `analytics plan infer` from what arrived: types, enums, pii and what is required are guesses."
    yield "version: 1"
    models: dict[str, str] = {}
    for event in events:
        name = json.dumps(event.name, ensure_ascii=False)
        try:
            model = EventPlan(name=event.name, description="-", owner=OWNER).model
        except ValidationError:
            yield f"# Left out: {name} cannot be a name in the plan."
            continue
        if other := models.get(model):
            yield f"# Left out: {name} would have the same model as {other}."
            continue
        yield "" if models else "\nevents:"
        models[model] = name
        content = {"name": event.name, "description": f"Seen {event.events:,} times.", "owner": OWNER, "mode": "warn"}
        yield from _item(content, indent=2)
        if event.properties:
            yield "    properties:"
            yield from _properties(event)


def _properties(event: ObservedEvent) -> Iterator[str]:
    columns: dict[str, str] = {}
    for observed in event.properties:
        name = json.dumps(observed.name, ensure_ascii=False)
        kind, share = property_type(observed), _percent(observed.events, observed.sampled_events)
        content: dict[str, object] = {"name": observed.name, "type": kind, "description": f"In {share} of the events."}
        try:
            column = PropertyPlan(name=observed.name, type=kind, description="-").column
        except ValidationError:
            yield f"      # Left out: {name} cannot be a name in the plan."
            continue
        if other := columns.get(column):
            yield f"      # Left out: {name} would have the same column as {other}."
            continue
        columns[column] = name
        if observed.events == observed.sampled_events:
            content["required"] = True
        if is_personal(observed):
            content["pii"] = True
        elif kind == "string" and (values := believable_values(observed)):
            content["enum"] = values
        if (odd := _odd_values(observed, kind)) > 0:
            yield f"      # {_percent(odd, _values(observed))} of its values are of another type."
        yield from _item(content, indent=6)


def property_type(observed: ObservedProperty) -> PropertyType:
    """Return the type that most values have; money is a decimal, which never goes through a float."""
    if observed.numbers and observed.numbers + observed.decimal_texts == _values(observed):
        is_money = _MONEY.search(identifier(observed.name)) is not None
        if is_money or observed.texts:
            return "decimal"
        return "integer" if observed.integers == observed.numbers else "number"
    kinds: dict[PropertyType, int] = {
        "string": observed.texts,
        "number": observed.numbers,
        "boolean": observed.booleans,
        "object": observed.objects,
        "array": observed.arrays,
    }
    kind = max(kinds, key=lambda one: kinds[one])
    if kind == "string" and observed.timestamp_texts == observed.texts:
        return "timestamp"
    if kind == "string" and observed.decimal_texts == observed.texts:
        # Digits alone may be an identifier, whose zeros in front count.
        is_amount = observed.texts_with_a_point or _MONEY.search(identifier(observed.name))
        return "decimal" if is_amount else "string"
    return kind


def is_personal(observed: ObservedProperty) -> bool:
    """Whether the name, or an @ in a value, suggests that it tells who someone is."""
    return observed.texts_with_an_at > 0 or _PERSON.search(identifier(observed.name)) is not None


def believable_values(observed: ObservedProperty) -> list[str]:
    """Return the values for an enum; none when there are too few events to believe that these are all."""
    enough = max(EVENTS_FOR_AN_ENUM, EVENTS_PER_VALUE * len(observed.values))
    return list(observed.values) if observed.events >= enough else []


def _odd_values(observed: ObservedProperty, kind: PropertyType) -> int:
    fitting = {
        "decimal": observed.numbers + observed.decimal_texts,
        "integer": observed.integers,
        "number": observed.numbers,
        "boolean": observed.booleans,
        "object": observed.objects,
        "array": observed.arrays,
    }
    return _values(observed) - fitting.get(kind, observed.texts)


def _values(observed: ObservedProperty) -> int:
    return observed.texts + observed.numbers + observed.booleans + observed.objects + observed.arrays


def _item(content: dict[str, str] | dict[str, object], indent: int) -> Iterator[str]:
    for position, (key, value) in enumerate(content.items()):
        lead = "- " if position == 0 else "  "
        # JSON is YAML, quoted wherever YAML would see something else in plain text.
        yield f"{' ' * indent}{lead}{key}: {json.dumps(value, ensure_ascii=False)}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %" if whole else "0 %"
