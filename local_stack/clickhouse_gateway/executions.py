"""One query running in a thread of its own; its output comes out of a pipe while it runs.

The engine writes the output by INTO OUTFILE to the pipe, which is right for every format (its streaming interface
repeats headers and footers with each block) and keeps memory bounded: the engine waits when the pipe is full.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from local_stack.clickhouse_gateway.engine import Connection, Engine, Statistics
from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.request_bodies import QueryText
from local_stack.clickhouse_gateway.requests import QueryOptions
from local_stack.clickhouse_gateway.rights import check_settings_clause, check_statement, overlay
from local_stack.clickhouse_gateway.sessions import Session
from local_stack.clickhouse_gateway.statements import check_end_of_values, check_format_name, first_words, output_clause
from local_stack.clickhouse_gateway.users import User, Users

_PIPE_BYTES = 1_048_576
_STREAMED = ("SELECT", "WITH", "FROM")
_WITH_OUTPUT = (*_STREAMED, "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a query ended."""

    statistics: Statistics
    error: ClickHouseError | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A query with everything that came with it."""

    user: User
    text: QueryText
    options: QueryOptions
    session: Session | None
    readonly_request: bool


class Execution:
    """A query on its way. `output` first, then `outcome`; `format` is known once either has something."""

    def __init__(self, engine: Engine, users: Users, query: Query) -> None:
        self._engine = engine
        self._users = users
        self._query = query
        self._loop = asyncio.get_running_loop()
        self._read_end, self._write_end = os.pipe()
        fcntl.fcntl(self._read_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._read_end, False)
        self._reads_only = False
        self._abandoned = False
        self.format: str | None = None
        self.outcome: asyncio.Future[Outcome] = self._loop.create_future()
        # A thread of its own for the query: it is by its thread that `kill` finds it in the engine.
        self._thread = threading.Thread(target=self._run, name=f"query-{query.options.query_id}", daemon=True)
        self._thread.start()

    async def output(self) -> AsyncIterator[bytes]:
        """Yield the output as it comes."""
        while True:
            try:
                piece = os.read(self._read_end, _PIPE_BYTES)
            except BlockingIOError:
                await self._readable()
                continue
            if not piece:
                return
            yield piece

    def close_output(self) -> None:
        """Stop reading: a query that still writes its output cannot go on and ends."""
        os.close(self._read_end)

    async def _readable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._read_end, _wake, ready)
        try:
            await ready
        finally:
            self._loop.remove_reader(self._read_end)

    def abandon(self) -> None:
        """Nobody waits for the result any more: a query that only reads is cancelled, others run to their end."""
        self._abandoned = True
        if self._reads_only:
            self.kill()

    def kill(self) -> None:
        """Cancel the query, whatever it does."""
        thread_id = self._thread.native_id
        if self._thread.is_alive() and thread_id is not None:
            self._loop.run_in_executor(None, self._engine.kill, thread_id)

    def join(self, seconds: float) -> bool:
        """Wait for the thread of the query; whether it ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            outcome = Outcome(self._execute())
        except ClickHouseError as error:
            outcome = Outcome(Statistics(), error)
        except BaseException as error:
            log.exception("query %s failed in the gateway", self._query.options.query_id)
            outcome = Outcome(Statistics(), ClickHouseError.of_engine(f"{type(error).__name__}: {error}"))
        # The loop is closed when the gateway stopped without waiting for this query.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, outcome)
        os.close(self._write_end)

    def _finish(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def _execute(self) -> Statistics:
        query, session = self._query, self._query.session
        settings, asks_readonly = overlay(self._users, query.user, query.options.settings, query.options.query_id)
        if session is None:
            connection = self._engine.connect(query.user)
        else:
            if session.connection is None:
                session.connection = self._engine.connect(query.user)
            connection = session.connection
        try:
            connection.use(query.options.database or (session.database if session else query.user.default_database))
            connection.lay_over(settings, lasting=session is not None)
            self._bring_tables(connection)
            readonly = query.readonly_request or asks_readonly
            if query.text.insert is not None:
                return self._insert(connection, readonly)
            return self._statement(connection, readonly)
        finally:
            if session is None:
                connection.close()
            else:
                self._drop_tables(connection)

    def _insert(self, connection: Connection, readonly: bool) -> Statistics:
        insert, rows, params = self._query.text.insert, self._query.text.rows, self._query.options.params
        assert insert is not None  # noqa: S101 - the caller looked
        assert rows is not None  # noqa: S101
        if insert.format == "Values":
            check_end_of_values(rows.read())
        check_settings_clause(self._query.user, insert.settings)
        check_statement(connection, insert.without_rows, params, readonly_request=readonly)
        statistics = connection.execute(insert.reading(rows.path), params=params).statistics
        # The rows come from outside of the engine, so it counts them as the result and not as read.
        return replace(statistics, read_rows=statistics.result_rows, read_bytes=statistics.result_bytes)

    def _statement(self, connection: Connection, readonly: bool) -> Statistics:
        sql, options, user = self._query.text.sql, self._query.options, self._query.user
        default_format = check_format_name(options.default_format)
        word = (first_words(sql.encode(), 1) or ("",))[0]
        clause = output_clause(sql.encode())
        if word not in _WITH_OUTPUT and not word.startswith("("):
            clause = replace(clause, before=sql, after="")
        # What is checked is what runs: the text before FORMAT, followed by nothing but what is put together here.
        check_settings_clause(user, clause.after)
        statement = check_statement(connection, clause.before, options.params, readonly_request=readonly)
        self._reads_only = statement.reads_only
        if self._abandoned and self._reads_only:
            raise ClickHouseError(236, "The client is gone.")
        if statement.reads_only:
            self.format = clause.format or default_format
            ending = f"FORMAT {self.format} {clause.after}"
            if word in _STREAMED or word.startswith("("):
                ending = f"INTO OUTFILE '/proc/self/fd/{self._write_end}' TRUNCATE {ending}"
            sql = f"{clause.before}\n{ending}"
        if word == "SET" and self._query.session is not None:
            # What SET changes is meant to last; what the URL said is for one query.
            connection.lay_over({}, lasting=True)
        result = connection.execute(sql, default_format, options.params)
        if word == "USE":
            self._remember_database(connection)
        if result.body:
            self.format = clause.format or default_format
            with contextlib.suppress(BrokenPipeError):
                _write(self._write_end, result.body)
        return result.statistics

    def _remember_database(self, connection: Connection) -> None:
        if self._query.session is not None:
            current = connection.execute("SELECT currentDatabase()", "TabSeparatedRaw").body.decode().strip()
            connection.database = self._query.session.database = current

    def _bring_tables(self, connection: Connection) -> None:
        for table in self._query.text.external_tables:
            if self._query.user.restricted:
                raise ClickHouseError(497, f"{self._query.user.name}: Not enough privileges to bring tables.")
            check_format_name(table.format)
            check_format_name(table.name)
            connection.execute(f"CREATE TEMPORARY TABLE `{table.name}` ({table.structure})")
            connection.execute(f"INSERT INTO `{table.name}` FROM INFILE '{table.rows.path}' FORMAT {table.format}")

    def _drop_tables(self, connection: Connection) -> None:
        for table in self._query.text.external_tables:
            with contextlib.suppress(ClickHouseError):
                connection.execute(f"DROP TEMPORARY TABLE IF EXISTS `{table.name}`")


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
