"""Routes that are plain ASGI, in front of the web framework: handling a request costs it more than they do.

The OpenAPI document is told of them by their packages.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from ingest_api.auth.principals import Principal
from ingest_api.errors import PROBLEM_MEDIA_TYPE, ApiError, MethodNotAllowed, problem_from
from ingest_api.events.bodies import ClientGone, read_body
from ingest_api.events.cross_origin import Headers, headers_for_origin, preflight_headers
from ingest_api.raw_answers import Answer, Asked, send_answer
from ingest_api.services import Services, services_of


def refused(error: Exception, scope: Scope, _: str) -> Answer:
    """Any error as a problem."""
    problem = problem_from(error, scope)
    headers = tuple(one for one in problem.raw_headers() if one[0] not in (b"content-type", b"content-length"))
    return Answer(problem.body, problem.status, headers, PROBLEM_MEDIA_TYPE.encode())


@dataclass(frozen=True, slots=True)
class Route:
    """One address."""

    path: str
    """As the OpenAPI document and the metrics name it; at most one part of it is a `{name}`."""
    answer: Callable[[Asked, Services], Awaitable[Answer]]
    """What answers a request that is authenticated and read."""
    caller: Callable[[Scope, str, Services], Awaitable[Principal]]
    """Who asks, by the request and what the path names."""
    method: str = "POST"
    refused: Callable[[Exception, Scope, str], Answer] = refused
    """The answer to an error, by it, the request and what the path names."""
    names_rest: bool = False
    """Whether what the path names may hold slashes."""


class RawRoutes:
    """Serves routes, with and without a slash at the end of their paths, and passes other requests on to `app`."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._by_path: dict[str, tuple[Route, str]] = {}
        self._naming: list[tuple[str, str, Route]] = []
        for route in routes:
            prefix, brace, rest = route.path.partition("{")
            if brace:
                self._naming.append((prefix, rest.partition("}")[2], route))
            else:
                self._by_path |= {route.path + end: (route, "") for end in ("", "/")}
        self._prefixes = tuple({prefix for prefix, _, _ in self._naming})

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
            services.metrics.refused(route.path, error.code if isinstance(error, ApiError) else ApiError.code)
            answer = route.refused(error, scope, argument)
        await send_answer(send, answer.status, answer.body, [*_described(answer), *answer.headers, *own_headers])
        services.metrics.served(route.path, time.perf_counter() - started)

    def _find(self, path: str) -> tuple[Route, str] | None:
        """The route of a path, and what it names."""
        found = self._by_path.get(path)
        if found is not None or not path.startswith(self._prefixes):
            return found
        path = path.removesuffix("/")
        for prefix, suffix, route in self._naming:
            if path.startswith(prefix) and path.endswith(suffix):
                argument = path[len(prefix) : len(path) - len(suffix)]
                if argument and (route.names_rest or "/" not in argument):
                    return route, argument
        return None


def _described(answer: Answer) -> Headers:
    """What says how the body is to be read; an answer without one says nothing of it."""
    if answer.status == 304:
        return []
    return [(b"content-type", answer.media_type), (b"content-length", b"%d" % len(answer.body))]
