"""What the OpenAPI document says about the routes of OpenFeature's and GrowthBook's clients."""

from typing import Any

from flags.evaluation import Reason
from ingest_api.errors import PROBLEM_MEDIA_TYPE
from ingest_api.flags.growthbook import EVAL_PATH, FEATURES_PATH, SUB_PATH
from ingest_api.flags.listeners import MAX_LISTENERS
from ingest_api.flags.ofrep import BULK_PATH, CODES, FLAG_PATH

_JSON = "application/json"
_TEXT = {"type": "string"}
_REFUSED = {
    "type": "object",
    "required": ["errorCode", "errorDetails"],
    "properties": {"key": _TEXT, "errorCode": {"enum": list(CODES)}, "errorDetails": _TEXT},
}
_ANSWER = {
    "type": "object",
    "required": ["key", "reason", "variant", "metadata"],
    "properties": {
        "key": _TEXT,
        "value": {"description": "Absent where the app's own default is to be used"},
        "reason": {"enum": [one.value for one in Reason if one is not Reason.ERROR]},
        "variant": {"type": ["string", "null"]},
        "metadata": {"type": "object", "properties": {"version": {"type": "integer"}, "ruleId": _TEXT}},
    },
}
_CONTEXT = {
    "type": "object",
    "properties": {"context": {"type": "object", "properties": {"targetingKey": _TEXT}, "additionalProperties": True}},
}
_FOR_WHOM = {"context": {"targetingKey": "user123", "country": "US", "plan": "premium"}}
_REMOTE = {
    "type": "object",
    "properties": {
        "attributes": {"type": "object", "additionalProperties": True},
        "forcedVariations": {"type": "object", "additionalProperties": {"type": "integer"}},
        "forcedFeatures": {"type": "array", "items": {"type": "array"}},
        "url": _TEXT,
    },
}
_PAYLOAD = {
    "type": "object",
    "properties": {
        "status": {"type": "integer"},
        "dateUpdated": {"type": "string", "format": "date-time"},
        "features": {"type": "object", "additionalProperties": {"type": "object"}},
    },
}
_PROBLEM = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_NOT_MODIFIED = {"304": {"description": "What was answered with this `ETag` still holds"}}


def openapi_paths() -> dict[str, Any]:
    """Path items of the routes; they refer to `#/components/schemas/Problem` and to two security schemes."""
    many = {"type": "object", "properties": {"flags": {"type": "array", "items": {"anyOf": [_ANSWER, _REFUSED]}}}}
    return {
        FLAG_PATH: {"post": _ofrep("ofrepEvaluateFlag", "What a flag is for a context", _ANSWER, {}) | _named("key")},
        BULK_PATH: {"post": _ofrep("ofrepEvaluateFlags", "What all flags are for a context", many, _NOT_MODIFIED)},
        FEATURES_PATH: {
            "get": _growthbook("growthbookFeatures", "All flags, for an SDK that evaluates them itself", _NOT_MODIFIED)
        },
        EVAL_PATH: {
            "post": _growthbook("growthbookEvaluate", "What all flags are for one user", {"400": _problem("No JSON")})
            | {"requestBody": {"content": {_JSON: {"schema": _REMOTE, "example": {"attributes": {"id": "user123"}}}}}}
        },
        SUB_PATH: {"get": _listening()},
    }


def _ofrep(name: str, summary: str, schema: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    refused = {_JSON: {"schema": _REFUSED}}
    missing = {"404": {"description": "`FLAG_NOT_FOUND`", "content": refused}} if not more else {}
    return {
        "tags": ["OpenFeature"],
        "operationId": name,
        "summary": summary,
        "description": "OpenFeature's remote evaluation protocol: give a provider of it the address of this server and "
        "a write key, as Bearer or in `X-API-Key`.",
        "security": [{"writeKey": []}, {"token": []}],
        "requestBody": {"content": {_JSON: {"schema": _CONTEXT, "example": _FOR_WHOM}}},
        "responses": {
            "200": {"description": "Evaluated", "content": {_JSON: {"schema": schema}}},
            "400": {"description": "The context cannot be used", "content": refused},
            "401": {"description": "No valid write key or token; without a body"},
            **missing,
            **more,
            "503": {"description": "The definitions were never read", "content": refused},
        },
    }


def _growthbook(name: str, summary: str, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["GrowthBook"],
        "operationId": name,
        "summary": summary,
        "description": "For GrowthBook's SDKs: `apiHost` is the address of this server, `clientKey` a write key.",
        "responses": {
            "200": {"description": "As the SDKs read it", "content": {_JSON: {"schema": _PAYLOAD}}},
            **more,
            "401": _problem("The client key is no valid write key"),
            "503": _problem("`definitions_unavailable`, `access_unverifiable`"),
        },
    } | _named("clientKey")


def _listening() -> dict[str, Any]:
    operation = _growthbook("growthbookListen", "Hear of each change of a flag", {})
    operation["responses"]["200"] = {
        "description": "`event: features-updated` at the beginning and at each change, by an edit or by a schedule",
        "content": {"text/event-stream": {"schema": _TEXT}},
    }
    operation["responses"]["503"] = _problem(f"{MAX_LISTENERS} listeners are connected to this process")
    return operation


def _problem(meaning: str) -> dict[str, Any]:
    return {"description": meaning, "content": _PROBLEM}


def _named(parameter: str) -> dict[str, Any]:
    return {"parameters": [{"name": parameter, "in": "path", "required": True, "schema": _TEXT}]}
