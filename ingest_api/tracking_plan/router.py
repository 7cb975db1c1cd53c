"""`GET /api/analytics/schema`: the tracking plan as JSON Schema, for whoever sends events."""

import hashlib
from functools import lru_cache
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from ingest_api.auth.permissions import AnyCaller
from ingest_api.errors import NotFound
from ingest_api.openapi import problem_responses
from ingest_api.services import services_of
from ingest_api.tracking_plan.json_schema import event_schema, plan_schema
from ingest_api.tracking_plan.plan import TrackingPlan

SCHEMA_MEDIA_TYPE = "application/schema+json"
_NOT_MODIFIED = 304

router = APIRouter(prefix="/api/analytics", tags=["events"], responses=problem_responses(401, 404, 503))


@router.get(
    "/schema",
    summary="The tracking plan as JSON Schema",
    response_class=Response,
    responses={
        200: {"content": {SCHEMA_MEDIA_TYPE: {"schema": {"type": "object"}}}, "description": "JSON Schema 2020-12"},
        _NOT_MODIFIED: {"description": "Still the one that `If-None-Match` names"},
    },
    # Beside a token, which the dependency declares.
    openapi_extra={"security": [{"writeKey": []}]},
)
async def schema(
    caller: AnyCaller,
    request: Request,
    event: Annotated[str | None, Query(description="Only the event of this name")] = None,
) -> Response:
    """The planned events as a client sends them to the track routes, as a union or, with `event`, one of them."""
    body, tag = _document(services_of(request.scope).tracking_plan, event)
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    return Response(body, media_type=SCHEMA_MEDIA_TYPE, headers=headers)


@lru_cache(maxsize=1000)
def _document(plan: TrackingPlan, event_name: str | None) -> tuple[bytes, str]:
    """The encoded schema and its entity tag. A plan does not change while the process runs."""
    if event_name is None:
        content = plan_schema(plan)
    elif (event := plan.events.get(event_name)) is not None:
        content = event_schema(event)
    else:
        raise NotFound(f"{event_name} is not in the tracking plan.", code="event_not_planned")
    body = msgspec.json.encode(content)
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
