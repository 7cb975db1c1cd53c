"""Evaluation as plain ASGI, in front of everything else: apps put these calls on their hottest path.

Their description in the OpenAPI document is `openapi.openapi_paths`.
"""

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from flags.evaluation import ErrorCode, Evaluation
from flags.ruleset import user_of
from ingest_api.auth.principals import Principal
from ingest_api.auth.roles import Permission
from ingest_api.errors import ApiError, FieldError, InputInvalid, MethodNotAllowed, NotFound, problem_from
from ingest_api.events.bodies import ClientGone, read_body
from ingest_api.events.cross_origin import Headers, headers_for_origin, preflight_headers
from ingest_api.events.enrichment.senders import Sender
from ingest_api.raw_answers import send_answer
from ingest_api.services import Services, services_of

ONE_PREFIX, ONE_SUFFIX = "/api/feature-flags/flags/", "/evaluate"
ALL_PATH = "/api/feature-flags/evaluate"
_MOST_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is authenticated and read."""

    argument: str
    """The part of the path that names something: a flag, or a client's key."""
    body: bytes
    headers: dict[bytes, bytes]
    source: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


Route: TypeAlias = Callable[[Asked, Services], Awaitable[Answer]]


class ForOne(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /api/feature-flags/flags/{key}/evaluate`."""

    user_id: str | int | None = None
    attributes: dict[str, Any] = {}


class ForAll(ForOne, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /api/feature-flags/evaluate`."""

    keys: list[str] | None = None
    """Which flags; null are all."""


_for_one, _for_all = msgspec.json.Decoder(ForOne), msgspec.json.Decoder(ForAll)


class FlagRoutes:
    """Serves the routes that evaluate, and passes every other request on to `app`."""

    def __init__(self, app: ASGIApp, find: Callable[[str], tuple[Route, str] | None]) -> None:
        """`find` names the route of a path, and what the path says beside it."""
        self._app = app
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        found = self._find(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        route, argument = found
        services = services_of(scope)
        headers = dict(scope["headers"])
        if scope["method"] == "OPTIONS":
            await send_answer(send, 204, b"", preflight_headers(headers))
            return
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"Send {scope['path']} a POST request.", "POST, OPTIONS")
            principal = await _principal(scope, services)
            body = await read_body(headers, receive)
            answer = await route(Asked(argument, body, headers, principal.source, _sender(headers, scope, services)), services)
        except ClientGone:
            return
        except Exception as error:
            problem = problem_from(error, scope)
            await send_answer(send, problem.status, problem.body, [*problem.raw_headers(), *headers_for_origin(headers)])
        else:
            head: Headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(answer.body)),
                *answer.headers,
                *headers_for_origin(headers),
            ]
            await send_answer(send, answer.status, answer.body, head)
        services.metrics.served(route.__name__, time.perf_counter() - started)


def find_route(path: str) -> tuple[Route, str] | None:
    """The route of a path, with or without a slash at its end, and the flag that it names."""
    if path.startswith("/api/feature-flags/"):
        path = path.removesuffix("/")
        if path == ALL_PATH:
            return evaluate_all, ""
        if path.startswith(ONE_PREFIX) and path.endswith(ONE_SUFFIX):
            key = path[len(ONE_PREFIX) : -len(ONE_SUFFIX)]
            return (evaluate_one, key) if key and "/" not in key else None
    return None


async def evaluate_one(asked: Asked, services: Services) -> Answer:
    """`POST /api/feature-flags/flags/{key}/evaluate`."""
    request = _read(_for_one, asked.body)
    [evaluation] = await _evaluate(request, [asked.argument], asked, services)
    if evaluation.error is ErrorCode.FLAG_NOT_FOUND:
        raise NotFound(f"There is no flag {asked.argument}.", code="flag_not_found")
    return Answer(services.flags.tally.encoded(evaluation))


async def evaluate_all(asked: Asked, services: Services) -> Answer:
    """`POST /api/feature-flags/evaluate`: with `If-None-Match`, 304 when the answers for this user are the same."""
    request = _read(_for_all, asked.body)
    if request.keys is not None and len(request.keys) > _MOST_KEYS:
        wrong = FieldError("keys", f"has more than {_MOST_KEYS} members")
        raise InputInvalid(f"{wrong.field} {wrong.message}.", errors=[wrong])
    evaluations = await _evaluate(request, request.keys, asked, services)
    return tagged(b'{"flags":{%b}}' % services.flags.tally.members(evaluations), asked.headers)


def tagged(body: bytes, headers: dict[bytes, bytes]) -> Answer:
    """An answer with an `ETag` of its content, or 304 when the client has it already."""
    tag = b'"%b"' % hashlib.blake2b(body, digest_size=16).hexdigest().encode()
    named = headers.get(b"if-none-match", b"")
    own = ((b"etag", tag), (b"cache-control", b"private, no-cache"))
    if tag in named or named.strip() == b"*":
        return Answer(b"", 304, own)
    return Answer(body, 200, own)


async def _evaluate(request: ForOne, keys: list[str] | None, asked: Asked, services: Services) -> list[Evaluation]:
    user_id = None if request.user_id is None else str(request.user_id)
    user = user_of(user_id, request.attributes)
    return await services.flags.evaluator.evaluate(user, keys, asked.source, asked.sender)


async def _principal(scope: Scope, services: Services) -> Principal:
    principal = await services.authenticator.authenticate(scope["headers"], scope["query_string"], math.inf)
    principal.require(Permission.FLAGS_EVALUATE)
    return principal


def _read(decoder: msgspec.json.Decoder[ForOne], body: bytes) -> Any:
    try:
        return decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputInvalid(f"The body is not as documented: {error}.") from error


def _sender(headers: dict[bytes, bytes], scope: Scope, services: Services) -> Sender:
    peer = scope["client"]
    agent, forwarded_for = headers.get(b"user-agent", b""), headers.get(b"x-forwarded-for", b"")
    return services.intake.senders.of_request(agent, peer[0] if peer else "", forwarded_for)
