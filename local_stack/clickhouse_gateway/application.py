"""The HTTP interface as an ASGI application."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack.clickhouse_gateway.compression import accepted_encoding
from local_stack.clickhouse_gateway.engine import Engine
from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.executions import Execution, Query
from local_stack.clickhouse_gateway.request_bodies import BodyLimits, QueryText, read_form, read_query
from local_stack.clickhouse_gateway.requests import HttpRequest, QueryOptions
from local_stack.clickhouse_gateway.responses import Response, Send
from local_stack.clickhouse_gateway.sessions import Sessions, timeout_seconds
from local_stack.clickhouse_gateway.users import User, Users

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

_NO_HANDLER = (
    "There is no handle {path}\n\nUse / or /ping for health checks.\n"
    "Or /replicas_status for more sophisticated health checks.\n\n"
)

log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the whole gateway."""

    max_memory_bytes: int
    max_body_bytes: int
    max_query_bytes: int
    max_concurrent_queries: int
    max_sessions: int
    stop_seconds: float


class Admission:
    """Counts running queries: all of them, and those of each user (max_concurrent_queries_for_user)."""

    def __init__(self, max_queries: int) -> None:
        self._max_queries = max_queries
        self._running: Counter[str] = Counter()

    def enter(self, user: User) -> None:
        """Count a query in. Raises ClickHouseError 202."""
        if self._running.total() >= self._max_queries:
            raise ClickHouseError(202, f"Too many simultaneous queries. Maximum: {self._max_queries}.")
        for_user = user.profile.max_concurrent_queries
        if for_user and self._running[user.name] >= for_user:
            raise ClickHouseError(
                202,
                f"Too many simultaneous queries for user {user.name}. "
                f"Current: {self._running[user.name]}, maximum: {for_user}.",
            )
        self._running[user.name] += 1

    def leave(self, user: User) -> None:
        """Count a query out."""
        self._running[user.name] -= 1


class Gateway:
    """One engine behind ClickHouse's HTTP interface; an ASGI application with a lifespan."""

    def __init__(self, data_directory: Path, users: Users, limits: Limits) -> None:
        self._data_directory = data_directory
        self._users = users
        self._limits = limits
        self._admission = Admission(limits.max_concurrent_queries)
        self._executions: set[Execution] = set()
        self._engine: Engine
        self._sessions: Sessions
        self._reaper: asyncio.Task[None]

    def open(self) -> None:
        """Open the engine. Raises DataDirectoryBusy."""
        self._engine = Engine(self._data_directory, self._users, self._limits.max_memory_bytes)
        self._sessions = Sessions(self._engine, self._limits.max_sessions)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(HttpRequest.of_scope(scope), receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._reaper = asyncio.create_task(self._expire_sessions())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _expire_sessions(self) -> None:
        while True:
            await asyncio.sleep(1)
            await asyncio.to_thread(self._sessions.expire)

    async def _stop(self) -> None:
        self._reaper.cancel()
        executions = list(self._executions)
        for execution in executions:
            execution.kill()
        ended = [await asyncio.to_thread(execution.join, self._limits.stop_seconds) for execution in executions]
        await asyncio.to_thread(self._sessions.close)
        if all(ended):
            self._engine.close()
        else:
            log.warning("%d queries did not end in time; the engine was not closed", ended.count(False))

    async def _http(self, request: HttpRequest, receive: Receive, send: Send) -> None:
        response = Response(send, self._engine.version, self._data_directory, without_body=request.method == "HEAD")
        try:
            if request.path in ("/ping", "/replicas_status"):
                await response.plain("Ok.\n")
            elif request.path != "/":
                await response.plain(_NO_HANDLER.format(path=request.path), 404)
            elif request.method in ("GET", "HEAD") and "query" not in request.params:
                await response.plain("Ok.\n")
            elif request.method not in ("GET", "HEAD", "POST", "PUT"):
                await response.plain(f"Method {request.method} is not supported\n", 501)
            else:
                await self._query(request, response, receive)
        except ClickHouseError as error:
            await response.error(error)
        except (ClientGone, TimeoutError):
            log.info("a client left before its request or its answer was complete")

    async def _query(self, request: HttpRequest, response: Response, receive: Receive) -> None:
        credentials = request.credentials
        user = self._users.authenticate(credentials.user, credentials.password, request.client_address)
        text = await self._read(request, receive)
        try:
            options = QueryOptions.of_request(request, text.params or request.params, user.profile.settings)
            response.query_id = options.query_id
            if options.compressed:
                response.encoding = accepted_encoding(request.headers.get("accept-encoding", ""))
            self._admission.enter(user)
            try:
                await self._run(request, options, user, text, response, receive)
            finally:
                self._admission.leave(user)
        finally:
            text.close()

    async def _read(self, request: HttpRequest, receive: Receive) -> QueryText:
        limits = BodyLimits(self._limits.max_query_bytes, self._limits.max_body_bytes)
        content_type = request.headers.get("content-type", "")
        if content_type.startswith("multipart/form-data"):
            return await read_form(request.params, _body(receive), content_type, limits)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        return await read_query(request.params.get("query", ""), _body(receive), encoding, limits)

    async def _run(
        self,
        request: HttpRequest,
        options: QueryOptions,
        user: User,
        text: QueryText,
        response: Response,
        receive: Receive,
    ) -> None:
        session = None
        if options.session_id is not None:
            timeout = timeout_seconds(options.session_timeout)
            session = self._sessions.lease(user, options.session_id, timeout, options.session_check)
        try:
            query = Query(user, text, options, session, readonly_request=request.method in ("GET", "HEAD"))
            await self._answer(query, response, receive)
        finally:
            if session is not None:
                self._sessions.release(session, options.close_session)

    async def _answer(self, query: Query, response: Response, receive: Receive) -> None:
        options = query.options
        execution = Execution(self._engine, self._users, query)
        self._executions.add(execution)
        watch = asyncio.create_task(_disconnect(receive))
        watch.add_done_callback(lambda task: None if task.cancelled() else execution.abandon())
        try:
            error = await response.query(execution, None if options.wait_end_of_query else options.buffer_bytes)
            if error is not None:
                log.info("query %s of %s: %s", options.query_id, query.user.name, error.text(self._engine.version))
        finally:
            watch.cancel()
            execution.close_output()
            # Cancelled by a shutdown: the query still has its connection and its rows.
            if not execution.outcome.done():
                execution.kill()
                await asyncio.to_thread(execution.join, self._limits.stop_seconds)
            self._executions.discard(execution)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
