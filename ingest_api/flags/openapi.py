"""What the OpenAPI document says about the routes that evaluate."""

from typing import Any, Literal

import msgspec
from pydantic import BaseModel, Field

from ingest_api.camel_model import CamelModel
from ingest_api.errors import PROBLEM_MEDIA_TYPE
from ingest_api.flags.hot_routes import ALL_PATH, MOST_KEYS, ONE_PATH, ForAll, ForOne
from ingest_api.openapi import without_references

_FOR_WHOM: dict[str, Any] = {"userId": "user123", "attributes": {"country": "US", "plan": "premium"}}
_ERRORS = {
    "400": "The body is not as documented",
    "401": "No valid write key or token",
    "405": "Only POST is allowed",
    "413": "`body_too_large`",
    "415": "A form with parts, or an unknown `Content-Encoding`",
    "503": "`definitions_unavailable`, `access_unverifiable`: this process has not seen the definitions, or the "
    "credentials, since it started",
}
_KEY = {
    "name": "key",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "Key of the flag",
}


class EvaluatedFlag(CamelModel):
    """What a flag is for a user, and why."""

    key: str
    value: Any
    variant: str | None = Field(description="Name of the value, where it has one; `on` or `off` for a boolean")
    reason: Literal["STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "ERROR"]
    rule_id: str | None = Field(description="The rule that decided")
    version: int = Field(description="Version of the flag")
    experiment: str | None = Field(None, description="Under which name the split is an experiment")
    error_code: str | None = Field(None, description="Why no answer could be given, with the reason ERROR")
    error_details: str | None = None


class EvaluatedFlags(CamelModel):
    """What flags are for a user, by key."""

    flags: dict[str, EvaluatedFlag]


def openapi_paths() -> dict[str, Any]:
    """Path items of the routes; they refer to `#/components/schemas/Problem` and to two security schemes."""
    one = operation("evaluateFlag", "What a flag is for a user", ForOne, _FOR_WHOM, EvaluatedFlag)
    one["parameters"] = [_KEY]
    one["responses"]["404"] = {"description": "`flag_not_found`", "content": one["responses"]["400"]["content"]}
    every = operation(
        "evaluateFlags",
        "What all flags are for a user",
        ForAll,
        _FOR_WHOM | {"keys": ["new_feature"]},
        EvaluatedFlags,
        f" `keys` names up to {MOST_KEYS} flags; null are all. With `If-None-Match`, 304 while nothing changes.",
    )
    every["responses"]["304"] = {"description": "The answers with this `ETag` still hold"}
    return {ONE_PATH: {"post": one}, ALL_PATH: {"post": every}}


def operation(
    name: str,
    summary: str,
    body: type[msgspec.Struct],
    example: dict[str, Any],
    answer: type[BaseModel],
    more: str = "",
    tag: str = "feature flags",
) -> dict[str, Any]:
    """A POST that any write key and any token may send; `body` and `answer` are its JSON."""
    [asked], asked_parts = msgspec.json.schema_components([body], ref_template="{name}")
    answered = answer.model_json_schema(by_alias=True)
    schema = without_references(answered, answered.pop("$defs", {}))
    problem = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "description": "From the definitions in memory: neither Valkey nor ClickHouse has to answer. Any write key and "
        f"any token may ask.{more}",
        "security": [{"writeKey": []}, {"token": []}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": without_references(asked, asked_parts), "example": example}},
        },
        "responses": {
            "200": {"description": "Evaluated", "content": {"application/json": {"schema": schema}}},
            **{status: {"description": meaning, "content": problem} for status, meaning in _ERRORS.items()},
        },
    }
