"""Evaluation as plain ASGI, in front of everything else: apps put these calls on their hottest path.

Their description in the OpenAPI document is `openapi.openapi_paths`.
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from flags.evaluation import ErrorCode, Evaluation
from flags.ruleset import user_of
from ingest_api.auth.principals import Principal
from ingest_api.auth.roles import Permission
from ingest_api.errors import PROBLEM_MEDIA_TYPE, FieldError, InputInvalid, MethodNotAllowed, NotFound, problem_from
from ingest_api.events.bodies import ClientGone, read_body
from ingest_api.events.cross_origin import Headers, headers_for_origin, preflight_headers
from ingest_api.events.enrichment.senders import Sender
from ingest_api.flags.recent_answers import bulk_answer
from ingest_api.raw_answers import send_answer
from ingest_api.services import Services, services_of

ONE_PATH = "/api/feature-flags/flags/{key}/evaluate"
ALL_PATH = "/api/feature-flags/evaluate"
_ONE_PREFIX, _ONE_SUFFIX = ONE_PATH.split("{key}")
MOST_KEYS = 1000


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
    media_type: bytes = b"application/json"


async def caller_of(scope: Scope, _: str, services: Services) -> Principal:
    """Who asks, by a credential in the headers or in the query string; the errors of `Authenticator.authenticate`."""
    principal = await services.authenticator.authenticate(scope["headers"], scope["query_string"], math.inf)
    principal.require(Permission.FLAGS_EVALUATE)
    return principal


def refused(error: Exception, scope: Scope, _: str) -> Answer:
    """Any error as a problem."""
    problem = problem_from(error, scope)
    headers = tuple(one for one in problem.raw_headers() if one[0] not in (b"content-type", b"content-length"))
    return Answer(problem.body, problem.status, headers, PROBLEM_MEDIA_TYPE.encode())


@dataclass(frozen=True, slots=True)
class Route:
    """One address."""

    path: str
    """As the OpenAPI document and the metrics name it."""
    answer: Callable[[Asked, Services], Awaitable[Answer]]
    """What answers a request that is authenticated and read."""
    method: str = "POST"
    caller: Callable[[Scope, str, Services], Awaitable[Principal]] = caller_of
    """Who asks, by the request and what the path names."""
    refused: Callable[[Exception, Scope, str], Answer] = refused
    """The answer to an error, by it, the request and what the path names."""


class ForOne(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /api/feature-flags/flags/{key}/evaluate`."""

    user_id: str | int | None = None
    attributes: dict[str, Any] | None = None


class ForAll(ForOne, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /api/feature-flags/evaluate`."""

    keys: list[str] | None = None
    """Which flags; null are all."""


_Request = TypeVar("_Request", ForOne, ForAll)
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
        own_headers = headers_for_origin(headers)
        if scope["method"] == "OPTIONS":
            await send_answer(send, 204, b"", preflight_headers(headers))
            return
        try:
            if scope["method"] != route.method:
                raise MethodNotAllowed(f"Send {route.path} a {route.method} request.", f"{route.method}, OPTIONS")
            principal = await route.caller(scope, argument, services)
            sender = services.intake.senders.of_scope(scope, headers)
            body = await read_body(headers, receive)
            answer = await route.answer(Asked(argument, body, headers, principal.source, sender), services)
        except ClientGone:
            return
        except Exception as error:
            answer = route.refused(error, scope, argument)
        await send_answer(send, answer.status, answer.body, [*_described(answer), *answer.headers, *own_headers])
        services.metrics.served(route.path, time.perf_counter() - started)


async def evaluate_one(asked: Asked, services: Services) -> Answer:
    """`POST /api/feature-flags/flags/{key}/evaluate`."""
    request = _read(_for_one, asked.body)
    [evaluation] = await _evaluate(request, [asked.argument], asked, services)
    if evaluation.error is ErrorCode.FLAG_NOT_FOUND:
        raise NotFound(f"There is no flag {asked.argument}.", code="flag_not_found")
    return Answer(services.flags.tally.encoded(evaluation))


async def evaluate_all(asked: Asked, services: Services) -> Answer:
    """`POST /api/feature-flags/evaluate`: with `If-None-Match`, 304 when the answers for this user are the same."""
    flags, now = services.flags, datetime.now(UTC)
    ruleset, may_keep = flags.definitions.ruleset, flags.evaluator.only_answers
    known = flags.recent.find(asked.body, ruleset, now) if may_keep else None
    if known is not None:
        return tagged(known.body(), known.tag, asked.headers)
    request = _read(_for_all, asked.body)
    if request.keys is not None and len(request.keys) > MOST_KEYS:
        wrong = FieldError("keys", f"has more than {MOST_KEYS} members")
        raise InputInvalid(f"{wrong.field} {wrong.message}.", errors=[wrong])
    evaluations = await _evaluate(request, request.keys, asked, services)
    answer = bulk_answer(flags.tally.runs(evaluations))
    if may_keep:
        flags.recent.keep(asked.body, answer, ruleset)
    return tagged(answer.body(), answer.tag, asked.headers)


_ONE, _ALL = Route(ONE_PATH, evaluate_one), Route(ALL_PATH, evaluate_all)


def find_route(path: str) -> tuple[Route, str] | None:
    """The route of a path, with or without a slash at its end, and the flag that it names."""
    path = path.removesuffix("/")
    if path.startswith(_ONE_PREFIX) and path.endswith(_ONE_SUFFIX):
        key = path[len(_ONE_PREFIX) : -len(_ONE_SUFFIX)]
        return (_ONE, key) if key and "/" not in key else None
    return (_ALL, "") if path == ALL_PATH else None


def tagged(body: bytes, tag: bytes, headers: Mapping[bytes, bytes], *more: tuple[bytes, bytes]) -> Answer:
    """An answer with its `ETag` and `more` headers, or 304 when the client, who sent `headers`, has it already."""
    named = headers.get(b"if-none-match", b"")
    own = ((b"etag", tag), (b"cache-control", b"private, no-cache"), *more)
    if tag in named or named.strip() == b"*":
        return Answer(b"", HTTPStatus.NOT_MODIFIED, own)
    return Answer(body, 200, own)


async def _evaluate(request: ForOne, keys: list[str] | None, asked: Asked, services: Services) -> list[Evaluation]:
    user_id = None if request.user_id is None else str(request.user_id)
    user = user_of(user_id, request.attributes)
    return await services.flags.evaluator.evaluate(user, keys, asked.source, asked.sender)


def _described(answer: Answer) -> Headers:
    """What says how the body is to be read; an answer without one says nothing of it."""
    if answer.status == HTTPStatus.NOT_MODIFIED:
        return []
    return [(b"content-type", answer.media_type), (b"content-length", b"%d" % len(answer.body))]


def _read(decoder: msgspec.json.Decoder[_Request], body: bytes) -> _Request:
    try:
        return decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputInvalid(f"The body is not as documented: {error}.") from error
