"""`POST /api/analytics/track` and `/track/batch` as plain ASGI, in front of everything else.

A single event costs less than a web framework's handling of its request, so these two routes go without one; their
description in the OpenAPI document is `openapi.openapi_paths`.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest_api.auth.roles import Permission
from ingest_api.errors import ApiError, MethodNotAllowed, problem_from
from ingest_api.events.answers import all_refused, batch_verdict
from ingest_api.events.bodies import ClientGone, read_body
from ingest_api.events.cross_origin import headers_for_origin, preflight_headers
from ingest_api.events.enrichment.senders import Sender
from ingest_api.events.payload import decode_batch
from ingest_api.events.reception import rows_of, take_in
from ingest_api.raw_answers import send_answer
from ingest_api.services import Services, services_of

TRACK_PATH = "/api/analytics/track"
BATCH_PATH = "/api/analytics/track/batch"

Route: TypeAlias = Callable[[bytes, str, Sender, Services], Awaitable[bytes]]
"""What answers a request that is authenticated and read: from body, source, sender and services the body of a 202."""

_encoder = msgspec.json.Encoder()


class HotRoutes:
    """Serves the track routes, with and without a slash at their end, and passes every other request on to `app`."""

    def __init__(self, app: ASGIApp, routes: Mapping[str, Route] | None = None) -> None:
        """`routes` stand in the place of the track routes."""
        self._app = app
        routes = {TRACK_PATH: _track, BATCH_PATH: _track_batch} if routes is None else routes
        self._routes: dict[str, tuple[str, Route]] = {
            path + end: (path, route) for path, route in routes.items() for end in ("", "/")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        found = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        path, route = found
        services = services_of(scope)
        headers = dict(scope["headers"])
        if scope["method"] == "OPTIONS":
            await send_answer(send, 204, b"", preflight_headers(headers))
            return
        own_headers = headers_for_origin(headers)
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"Send {path} a POST request.", "POST, OPTIONS")
            principal = await services.authenticator.authenticate(scope["headers"], scope["query_string"])
            principal.require(Permission.EVENTS_WRITE)
            body = await read_body(headers, receive)
            answer = await route(body, principal.source, services.intake.senders.of_scope(scope, headers), services)
        except ClientGone:
            return
        except Exception as error:
            services.metrics.refused(error.code if isinstance(error, ApiError) else ApiError.code)
            problem = problem_from(error, scope)
            await send_answer(send, problem.status, problem.body, [*problem.raw_headers(), *own_headers])
        else:
            head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer)), *own_headers]
            await send_answer(send, 202, answer, head)
        services.metrics.served(path, time.perf_counter() - started)


async def _track(body: bytes, source: str, sender: Sender, services: Services) -> bytes:
    return await services.singles.take_in(body, source, sender)


async def _track_batch(body: bytes, source: str, sender: Sender, services: Services) -> bytes:
    received = await take_in(decode_batch(body), source, services.intake, sender)
    await services.event_stream.append(rows_of(received.accepted, received.rejected))
    for code, count in Counter(row.code for row in received.rejected).items():
        services.metrics.rejected(source, code, count)
    if received.accepted:
        services.metrics.accepted(source, len(received.accepted))
    else:
        raise all_refused(received.rejected)
    return _encoder.encode(batch_verdict(received))
