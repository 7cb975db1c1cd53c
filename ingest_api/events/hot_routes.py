"""`POST /api/analytics/track` and `/track/batch` as plain ASGI, in front of everything else.

A single event costs less than a web framework's handling of its request, so these two routes go without one; their
description in the OpenAPI document is `openapi.openapi_paths`.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest_api.auth.principals import Principal
from ingest_api.auth.roles import Permission
from ingest_api.errors import MethodNotAllowed, send_problem
from ingest_api.events.answers import all_refused, batch_verdict, event_refused, event_verdict
from ingest_api.events.bodies import ClientGone, read_body
from ingest_api.events.normalise import normalise, whole_milliseconds
from ingest_api.events.payload import Payload, Rejection, decode_batch, decode_event
from ingest_api.events.stream import EventStream
from ingest_api.services import services_of
from warehouse.raw_events import RawEvent

TRACK_PATH = "/api/analytics/track"
BATCH_PATH = "/api/analytics/track/batch"

_encoder = msgspec.json.Encoder()


class HotRoutes:
    """Serves the track routes and passes every other request on to `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes: dict[str, Callable[[bytes, Principal, EventStream], Awaitable[bytes]]] = {
            TRACK_PATH: _track,
            BATCH_PATH: _track_batch,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"Send {scope['path']} a POST request.")
            services = services_of(scope)
            principal = await services.authenticator.authenticate(scope["headers"], scope["query_string"])
            principal.require(Permission.EVENTS_WRITE)
            body = await read_body(scope["headers"], receive)
            answer = await route(body, principal, services.event_stream)
        except ClientGone:
            return
        except Exception as error:
            await send_problem(send, error, scope)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _track(body: bytes, principal: Principal, stream: EventStream) -> bytes:
    payload = decode_event(body)
    [outcome] = _outcomes(payload, principal.source)
    if isinstance(outcome, Rejection):
        raise event_refused(outcome)
    await stream.append(_encoder.encode_lines([outcome]), 1)
    return _encoder.encode(event_verdict(outcome, payload))


async def _track_batch(body: bytes, principal: Principal, stream: EventStream) -> bytes:
    payload = decode_batch(body)
    outcomes = _outcomes(payload, principal.source)
    rows = [outcome for outcome in outcomes if not isinstance(outcome, Rejection)]
    if not rows:
        raise all_refused([outcome for outcome in outcomes if isinstance(outcome, Rejection)])
    await stream.append(_encoder.encode_lines(rows), len(rows))
    return _encoder.encode(batch_verdict(outcomes, payload))


def _outcomes(payload: Payload, source: str) -> list[RawEvent | Rejection]:
    received_at = whole_milliseconds(datetime.now(UTC))
    return [
        event if isinstance(event, Rejection) else normalise(event, source, received_at) for event in payload.events
    ]
