"""`GET /metrics` for Prometheus; needs the permission metrics:read, which a scrape shows as its bearer token."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from redis.exceptions import RedisError

from ingest_api.auth.permissions import CanReadMetrics
from ingest_api.events.stream import StreamState, stream_state
from ingest_api.metrics import OPENMETRICS, PLAIN, exposition, stream_families
from ingest_api.openapi import problem_responses
from ingest_api.services import Services, services_of

STREAM_SECONDS = 2.0
"""Longest wait for what Valkey knows; the counts of this process are answered in any case."""

router = APIRouter(tags=["health"], responses=problem_responses(401, 403, 503))

_FORMATS: dict[str, Any] = {media_type: {"schema": {"type": "string"}} for media_type in (PLAIN, OPENMETRICS)}


@router.get(
    "/metrics",
    summary="Counts for Prometheus",
    response_class=Response,
    responses={200: {"description": "Prometheus text, or OpenMetrics when `Accept` names it", "content": _FORMATS}},
)
async def metrics(caller: CanReadMetrics, request: Request) -> Response:
    """What this API process has counted since it started, and how far behind the stream is.

    Every API process counts for itself; the gauges of the stream are the same at each. While Valkey is away
    `analytics_valkey_up` is 0 and they are missing.
    """
    services = services_of(request.scope)
    gauges = stream_families(await _stream(services), services.settings.analytics_stream_max_bytes)
    body, media_type = exposition(services.metrics, gauges, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})


async def _stream(services: Services) -> StreamState | None:
    try:
        async with asyncio.timeout(STREAM_SECONDS):
            return await stream_state(services.valkey, services.warehouse_settings.clickhouse_database)
    except (RedisError, OSError):  # a TimeoutError, too, is an OSError
        return None
