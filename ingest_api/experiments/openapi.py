"""What the OpenAPI document says about the route that assigns."""

from typing import Any, Literal

from pydantic import Field

from ingest_api.camel_model import CamelModel
from ingest_api.experiments.assign_route import PATH, ForAssign
from ingest_api.flags.openapi import operation

_FOR_WHOM: dict[str, Any] = {"userId": "user123", "attributes": {"country": "US", "plan": "premium"}}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "Id of the experiment",
}


class AssignedVariant(CamelModel):
    """What a user gets, and why."""

    experiment_id: str
    variant_id: str
    variant_name: str
    config: Any
    is_control: bool
    in_experiment: bool = Field(description="Whether the user is in the experiment, and was logged as exposed to it")
    reason: Literal[
        "ASSIGNED", "NOT_STARTED", "PAUSED", "COMPLETED", "ARCHIVED", "NOT_IDENTIFIED", "NOT_TARGETED", "NOT_COVERED"
    ] = Field(description="Everybody but the ASSIGNED gets the control, or what was decided for")


def openapi_paths() -> dict[str, Any]:
    """Path item of the route; it refers to `#/components/schemas/Problem` and to two security schemes."""
    assign = operation(
        "assignVariant",
        "Which variant of an experiment a user gets",
        ForAssign,
        _FOR_WHOM,
        AssignedVariant,
        " A user who is in the experiment is logged as exposed (`experiment_exposure`), once an hour.",
        tag="experiments",
    )
    assign["parameters"] = [_ID]
    assign["responses"]["404"] = {
        "description": "`experiment_not_found`",
        "content": assign["responses"]["400"]["content"],
    }
    return {PATH: {"post": assign}}
