"""What GrowthBook's SDKs ask: all flags to evaluate themselves, events of changes, and evaluation here for one user.

They send no header of their own: the client key in the address is a write key.
"""

import math

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from flags.growthbook import remote_answers, remote_user
from ingest_api.auth.principals import Principal
from ingest_api.auth.roles import Permission
from ingest_api.errors import InputInvalid, MethodNotAllowed, problem_from
from ingest_api.events.cross_origin import headers_for_origin, preflight_headers
from ingest_api.flags.hot_routes import tagged
from ingest_api.raw_answers import Answer, Asked, send_answer
from ingest_api.raw_routes import Route
from ingest_api.services import Services, services_of

FEATURES_PATH = "/api/features/{clientKey}"
EVAL_PATH = "/api/eval/{clientKey}"
SUB_PATH = "/sub/{clientKey}"

_SSE_SUPPORT = (b"x-sse-support", b"enabled")
"""Without it the JavaScript SDK does not listen to events."""
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


async def features(asked: Asked, services: Services) -> Answer:
    """`GET /api/features/{clientKey}`: with `If-None-Match`, 304 while nothing has changed."""
    payload = services.flags.payloads.current()
    return tagged(payload.body, payload.tag, asked.headers, _SSE_SUPPORT)


async def evaluate(asked: Asked, services: Services) -> Answer:
    """`POST /api/eval/{clientKey}`."""
    try:
        document = _decoder.decode(asked.body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputInvalid(f"Send JSON in UTF-8: {error}.") from error
    if not isinstance(document, dict):
        raise InputInvalid('Send an object: {"attributes": {"id": "user123"}}.')
    user = remote_user(document)
    evaluations = await services.flags.evaluator.evaluate(user, None, asked.source, asked.sender)
    if not user.overrides.features and not user.overrides.variations:
        services.flags.tally.count(evaluations)
    body = _encoder.encode(remote_answers(evaluations, services.flags.payloads.dated))
    return Answer(body, headers=((b"cache-control", b"private, no-store"), _SSE_SUPPORT))


async def client_of(scope: Scope, client_key: str, services: Services) -> Principal:
    """Whose client key this is.

    Raises:
        Unauthenticated: it is none, or was revoked.
    """
    principal = await services.authenticator.write_key_principal(client_key, math.inf)
    principal.require(Permission.FLAGS_EVALUATE)
    return principal


ROUTES = (Route(FEATURES_PATH, features, client_of, method="GET"), Route(EVAL_PATH, evaluate, client_of))
_SUB_PREFIX = SUB_PATH.partition("{")[0]


class ListenerRoute:
    """Serves `GET /sub/{clientKey}`, whose answer does not end, and passes every other request on to `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http" or not scope["path"].startswith(_SUB_PREFIX):
            await self._app(scope, receive, send)
            return
        services, headers = services_of(scope), dict(scope["headers"])
        if scope["method"] == "OPTIONS":
            await send_answer(send, 204, b"", preflight_headers(headers))
            return
        own_headers = headers_for_origin(headers)
        try:
            if scope["method"] != "GET":
                raise MethodNotAllowed(f"Send {SUB_PATH} a GET request.", "GET, OPTIONS")
            await client_of(scope, scope["path"][len(_SUB_PREFIX) :].removesuffix("/"), services)
            await services.flags.listeners.listen(receive, send, own_headers)
        except Exception as error:
            problem = problem_from(error, scope)
            await send_answer(send, problem.status, problem.body, [*problem.raw_headers(), *own_headers])
