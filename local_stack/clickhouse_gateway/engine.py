"""The embedded ClickHouse engine: one data directory, one connection per request or session."""

import fcntl
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import chdb

from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.users import User, Users

log = logging.getLogger(__name__)

_MERGE_TREE = {"fsync_after_insert": "1", "fsync_part_directory": "1"}
_EXPLAIN = "EXPLAIN AST "
# The embedded engine starts with the habits of clickhouse-local; these make it the server again. But its log of queries
# keeps only those of clients that ask for it: it would cost each of the many small ones.
_SERVER_DEFAULTS = {"implicit_select": "0", "allow_introspection_functions": "0", "log_queries": "0"}
_QUERY_LOG = (
    "<database>system</database><table>query_log</table>"
    "<ttl>event_date + INTERVAL 7 DAY DELETE</ttl><flush_interval_milliseconds>7500</flush_interval_milliseconds>"
)
# What a SELECT can reach without any grant: files of the machine, SQL in a string, objects of this Python process.
_UNGRANTED_FUNCTION = re.compile(rb"Function (file|eval|Python|ArrowStream)\b", re.IGNORECASE)
_AST_LINE = re.compile(rb" *[A-Z][A-Za-z]+")


class DataDirectoryBusy(RuntimeError):
    """Another process has the data directory open."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a query did. Rows and bytes are counted by the engine; elapsed is in seconds."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Statement:
    """What the engine's parser says about a statement."""

    kind: str
    count: int

    @property
    def reads_only(self) -> bool:
        """SELECT, SHOW, DESCRIBE, EXPLAIN, EXISTS and CHECK."""
        return self.kind == "READ_ONLY"


def quoted(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _assignments(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{identifier(name)} = {quoted(value)}" for name, value in settings.items())


@dataclass(slots=True)
class Connection:
    """One connection of the engine, in the name of a user. Not for two threads at once."""

    raw: Any
    user: User
    database: str = ""
    overlay: dict[str, str] = field(default_factory=dict)
    _before_overlay: dict[str, str] = field(default_factory=dict)

    def execute(
        self, sql: str, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> "Result":
        """Run a statement and return its whole result. Raises ClickHouseError."""
        try:
            result = self.raw.query(sql, output_format, params=dict(params or {}))
        except RuntimeError as error:
            raise ClickHouseError.of_engine(str(error), self.user.name) from None
        return Result(
            result.bytes(),
            Statistics(
                read_rows=result.storage_rows_read(),
                read_bytes=result.storage_bytes_read(),
                written_rows=result.rows_written(),
                written_bytes=result.bytes_written(),
                result_rows=result.rows_read(),
                result_bytes=result.bytes_read(),
                elapsed_seconds=result.elapsed(),
            ),
        )

    def classify(self, sql: str) -> Statement:
        """Ask the engine's parser what a text would do. Text that does not parse is of kind UNKNOWN, count 0."""
        answer = self.raw._conn.classify_query(sql)
        return Statement(answer["query_class"].name, answer["statement_count"])

    def syntax_error(self, sql: str, params: Mapping[str, str]) -> ClickHouseError:
        """What the engine finds wrong with a text that does not parse. The text does not run."""
        try:
            self.execute(f"{_EXPLAIN}{sql}", params=params)
        except ClickHouseError as error:
            return error.shifted(len(_EXPLAIN))
        return ClickHouseError(62, "Syntax error: the query cannot be parsed.")

    def leaves_engine(self, sql: str, params: Mapping[str, str]) -> bool:
        """Whether a statement calls a function that reads outside of the engine and asks for no grant, like file().

        True as well when that cannot be seen: the tree comes in another form (because of a FORMAT in the text), or it
        is a SHOW ... WHERE, whose condition is not in the tree. Raises ClickHouseError.
        """
        tree = self.execute(f"{_EXPLAIN}{sql}", params=params)
        lines = tree.body.splitlines()
        if len(lines) != tree.statistics.result_rows or not all(_AST_LINE.match(line) for line in lines):
            return True
        if any(line.lstrip().startswith(b"Show") for line in lines) and "where" in sql.lower() and "(" in sql:
            return True
        return any(_UNGRANTED_FUNCTION.search(line) for line in lines)

    def use(self, database: str) -> None:
        """Make a database the current one. Raises ClickHouseError 81."""
        if database != self.database:
            self.execute(f"USE {identifier(database)}")
            self.database = database

    def lay_over(self, settings: Mapping[str, str], lasting: bool) -> None:
        """Change settings until the next call, which restores what it does not name. Raises ClickHouseError.

        `lasting` says that there may be a next call; otherwise nothing is remembered.
        """
        gone = {name: self._before_overlay[name] for name in self.overlay if name not in settings}
        if gone:
            self.execute(f"SET {', '.join(f'{identifier(name)} = {value}' for name, value in gone.items())}")
            for name in gone:
                del self.overlay[name], self._before_overlay[name]
        changed = {name: value for name, value in settings.items() if self.overlay.get(name) != value}
        if changed:
            if lasting:
                self._remember([name for name in changed if name not in self._before_overlay])
            try:
                self.execute(f"SET {_assignments(changed)}")
            except ClickHouseError:
                for name in changed.keys() - self.overlay.keys():
                    self._before_overlay.pop(name, None)
                raise
            self.overlay.update(changed)

    def _remember(self, settings: list[str]) -> None:
        if not settings:
            return
        names = ", ".join(quoted(name) for name in settings)
        rows = self.execute(
            f"SELECT name, changed, value FROM system.settings WHERE name IN ({names})",  # noqa: S608 - quoted
        ).body.decode()
        for line in rows.splitlines():
            name, changed, value = line.split("\t", 2)
            # What TabSeparated escapes is what a string literal escapes.
            self._before_overlay[name] = f"'{value}'" if changed == "1" else "DEFAULT"

    def close(self) -> None:
        """Close the connection; its temporary tables go with it."""
        self.raw.close()


@dataclass(frozen=True, slots=True)
class Result:
    """The whole output of a statement."""

    body: bytes
    statistics: Statistics


class Engine:
    """The engine of one data directory. Open it once in a process; connections may be used from many threads."""

    version: str = chdb.engine_version

    def __init__(self, data_directory: Path, users: Users, max_memory_bytes: int) -> None:
        """Open the engine. Raises DataDirectoryBusy when another process has the directory."""
        data_directory.mkdir(parents=True, exist_ok=True)
        self._lock = (data_directory / "gateway.lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            owner = self._lock.read().strip()
            raise DataDirectoryBusy(f"The data directory {data_directory} is in use by process {owner}.") from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()
        (data_directory / "users.xml").write_text(users.engine_users())
        config = data_directory / "config.xml"
        config.write_text(_config(data_directory, max_memory_bytes))
        self._address = f"{data_directory}?config-file={config}"
        try:
            # The engine lives as long as a connection is open: this one keeps it between requests.
            self._anchor = chdb.connect(self._address)
        except RuntimeError as error:
            raise DataDirectoryBusy(f"The engine cannot open the data directory {data_directory}: {error}") from error

    def connect(self, user: User) -> Connection:
        """Open a connection with the rights, limits and settings of a user."""
        connection = Connection(chdb.connect(self._address), user, database="default")
        profile = {**_SERVER_DEFAULTS, **user.engine_settings}
        readonly = user.profile.settings.get("readonly", "0")
        # SET profile brings the constraints only: the embedded client sends its own copy of the settings with each
        # query. readonly comes last because nothing can be set after it.
        statements = [
            f"SET ROLE {identifier(user.engine_name)}",
            f"SET {_assignments(profile)}",
            f"SET profile = {quoted(user.engine_name)}",
        ]
        if readonly != "0":
            statements.append(f"SET readonly = {quoted(readonly)}")
        try:
            connection.execute("; ".join(statements))
            if user.default_database != "default":
                connection.use(user.default_database)
        except ClickHouseError:
            connection.close()
            raise
        return connection

    def kill(self, thread_id: int) -> None:
        """Cancel the query that runs in a thread of this process."""
        raw = chdb.connect(self._address)
        try:
            raw.query(f"SET ROLE ALL; KILL QUERY WHERE has(thread_ids, {thread_id}) ASYNC FORMAT Null")
        except RuntimeError as error:
            log.warning("a query could not be cancelled: %s", error)
        finally:
            raw.close()

    def close(self) -> None:
        """Close the engine. Every connection must be closed before."""
        self._anchor.close()
        self._lock.close()


def _config(data_directory: Path, max_memory_bytes: int) -> str:
    merge_tree = "".join(f"<{name}>{value}</{name}>" for name, value in _MERGE_TREE.items())
    return (
        "<clickhouse>"
        f"<users_config>{escape(str(data_directory / 'users.xml'))}</users_config>"
        f"<max_server_memory_usage>{max_memory_bytes}</max_server_memory_usage>"
        f"<merge_tree>{merge_tree}</merge_tree>"
        f"<query_log>{_QUERY_LOG}</query_log>"
        "</clickhouse>"
    )
