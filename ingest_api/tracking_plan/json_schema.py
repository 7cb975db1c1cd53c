"""The plan as JSON Schema (draft 2020-12): what a planned event looks like in the body of the track routes.

Properties are valid here exactly when `TrackingPlan.check` finds nothing in them, but for the bounds of a decimal that
comes as text, which JSON Schema cannot express. An event in mode off is described all the same.
"""

from typing import Any, TypeAlias
from urllib.parse import quote

from ingest_api.events.payload import MAX_ID_CHARACTERS, MAX_TYPE_CHARACTERS
from ingest_api.tracking_plan.checking import (
    DECIMAL_TEXT,
    EARLIEST_MS,
    LARGEST_INTEGER,
    LATEST_MS,
    SMALLEST_INTEGER,
    TIMESTAMP_TEXT,
)
from ingest_api.tracking_plan.declarations import LONGEST_MATCHED_TEXT, LONGEST_NAME, EventPlan, PropertyPlan
from ingest_api.tracking_plan.plan import TrackingPlan

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_IDENTIFIER = "urn:analytics:tracking-plan"


def plan_schema(plan: TrackingPlan) -> Schema:
    """Return the union of all planned events, and of all others where `unknown_events` is off."""
    definitions = {event.name: _event(event) for event in plan.events.values()}
    members: list[Schema | bool] = [{"$ref": f"#/$defs/{_pointer(name)}"} for name in definitions]
    if plan.unknown_events == "off":
        others: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
        others |= {"not": {"enum": [*definitions]}} if definitions else {}
        members.append(_envelope("Any event that is not in the plan.", others, {"type": ["object", "null"]}))
    return {
        "$schema": DIALECT,
        "$id": _IDENTIFIER,
        "title": "Tracking plan",
        "description": "An event as `POST /api/analytics/track` takes it.",
        "oneOf": members or [False],
        "$defs": definitions,
    }


def event_schema(event: EventPlan) -> Schema:
    """Return the schema of one event."""
    return {"$schema": DIALECT, "title": event.name, **_event(event)}


def _event(event: EventPlan) -> Schema:
    required = [one.name for one in event.properties if one.required]
    properties: Schema = {
        "type": "object" if required else ["object", "null"],
        "properties": {one.name: _property(one) for one in event.properties},
    }
    if required:
        properties["required"] = required
    if event.unknown_properties != "allow":
        properties["additionalProperties"] = False
    envelope = _envelope(event.description, {"const": event.name}, properties)
    if required:
        envelope["required"].append("properties")
    return envelope | {"x-owner": event.owner, "x-mode": event.mode}


def _envelope(description: str, name: Schema, properties: Schema) -> Schema:
    identifier: Schema = {"type": ["string", "null"], "maxLength": MAX_ID_CHARACTERS}
    moment: Schema = {"type": ["string", "number", "null"], "description": "ISO 8601 or milliseconds since 1970."}
    someone: Schema = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "description": description,
        "properties": {
            "eventName": name,
            "userId": identifier,
            "anonymousId": identifier,
            "sessionId": identifier,
            "eventId": identifier,
            "eventType": {"type": ["string", "null"], "maxLength": MAX_TYPE_CHARACTERS},
            "timestamp": moment,
            "sentAt": moment,
            "properties": properties,
            "context": {"type": ["object", "null"]},
        },
        "required": ["eventName"],
        "anyOf": [
            {"required": [one], "properties": {one: someone}} for one in ("userId", "anonymousId")
        ],
    }  # fmt: skip


def _property(plan: PropertyPlan) -> Schema:
    described: Schema = {"description": plan.description}
    if plan.pii:
        described["x-pii"] = True
    first, *others = _forms(plan)
    if others or (plan.enum and not plan.required):
        absent = [] if plan.required else [{"type": "null"}]
        return described | {"anyOf": [first, *others, *absent]}
    return described | first | ({} if plan.required else {"type": [first["type"], "null"]})


def _forms(plan: PropertyPlan) -> list[Schema]:
    """The JSON types that a value may come as."""
    bounds: Schema = {"minimum": plan.minimum, "maximum": plan.maximum}
    bounds = {word: bound for word, bound in bounds.items() if bound is not None}
    if plan.enum is not None:
        return [{"type": plan.type, "enum": [*plan.enum]}]
    match plan.type:
        case "string" if plan.pattern is not None:
            return [{"type": "string", "pattern": plan.pattern, "maxLength": LONGEST_MATCHED_TEXT}]
        case "integer":
            return [{"type": "integer", "minimum": SMALLEST_INTEGER, "maximum": LARGEST_INTEGER} | bounds]
        case "decimal":
            return [{"type": "number"} | bounds, _text(DECIMAL_TEXT)]
        case "timestamp":
            return [{"type": "number", "minimum": EARLIEST_MS, "maximum": LATEST_MS}, _text(TIMESTAMP_TEXT)]
        case _:
            return [{"type": plan.type} | bounds]


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^{pattern}$", "maxLength": LONGEST_MATCHED_TEXT}


def _pointer(name: str) -> str:
    """A name as part of a reference (RFC 6901 inside of a URI fragment)."""
    return quote(name.replace("~", "~0").replace("/", "~1"), safe="")
