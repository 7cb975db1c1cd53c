"""What a request may run, decided on the engine's own reading of the statement before it runs.

The engine enforces grants, read-only mode and limits. The rest is here: what a client of a server could not do either
(read and write files of the server by INFILE and OUTFILE, send several statements), and the few ways around the
grants that an engine with a single user leaves open (SET ROLE, the file() function).
"""

from collections.abc import Mapping
from itertools import pairwise

from local_stack.clickhouse_gateway.engine import Connection, Statement
from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.statements import first_words, top_level_tokens
from local_stack.clickhouse_gateway.users import User, Users

_GET_IS_READONLY = (
    "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
    "You should use method POST for modifying queries."
)


def check_statement(
    connection: Connection, sql: str, params: Mapping[str, str], *, readonly_request: bool
) -> Statement:
    """Return what the statement is. Raises ClickHouseError when the user or the request may not run it."""
    if not sql.strip():
        raise ClickHouseError(62, "Syntax error: Empty query.")
    user = connection.user
    statement = connection.classify(sql)
    if statement.count == 0:
        # The engine says best what is wrong with it. It must not run: nothing is known about it.
        connection.execute(f"EXPLAIN AST {sql}", params=params)
        raise ClickHouseError(62, "Syntax error: the query cannot be parsed.")
    # `a PARALLEL WITH b` is one statement for a server and two for the engine's count.
    if statement.count > 1 and (user.restricted or "PARALLEL" not in sql.upper()):
        raise ClickHouseError(62, "Syntax error (Multi-statements are not allowed).")
    text = sql.encode()
    words = first_words(text)
    changes_session = words[0] in ("SET", "USE")
    if words == ("SET", "ROLE") or words == ("SET", "DEFAULT"):
        raise ClickHouseError(497, f"{user.name}: Not enough privileges. Roles are given by the users file.")
    if statement.kind == "CONTROL" and not changes_session:
        if _writes_outfile(text):
            raise ClickHouseError(358, "INTO OUTFILE is not allowed")
        if user.restricted:
            raise ClickHouseError(497, f"{user.name}: Not enough privileges to run {words[0]}.")
    if readonly_request and not statement.reads_only and not changes_session:
        raise ClickHouseError(164, _GET_IS_READONLY)
    if user.restricted and not changes_session and connection.calls_file_function(sql, params):
        raise ClickHouseError(497, f"{user.name}: Not enough privileges. The function file is closed to this user.")
    return statement


def _writes_outfile(sql: bytes) -> bool:
    tokens = list(top_level_tokens(sql))
    return any(a.is_word("INTO") and b.is_word("OUTFILE") for a, b in pairwise(tokens))


def overlay(users: Users, user: User, settings: Mapping[str, str], query_id: str) -> tuple[dict[str, str], bool]:
    """The settings to run a query with, and whether the request asks to be read-only.

    readonly cannot be taken back within a connection, so it is not among the settings. Raises ClickHouseError: 164 (a
    restricted user leaves the read-only mode or the profile), 180 (no such profile).
    """
    wanted = dict(settings)
    readonly = wanted.pop("readonly", None)
    if readonly is not None and user.profile.readonly and readonly != str(user.profile.readonly):
        raise ClickHouseError(164, "Cannot modify 'readonly' setting in readonly mode.")
    profile_name = wanted.pop("profile", user.profile.name)
    if profile_name != user.profile.name:
        if user.restricted:
            raise ClickHouseError(164, "Cannot modify 'profile' setting in readonly mode.")
        profile = users.profiles.get(profile_name)
        if profile is None:
            raise ClickHouseError(180, f"There is no settings profile `{profile_name}` in `user directories`.")
        wanted = {**profile.engine_settings, **wanted}
    # The engine has ids of its own; this is how a client finds its query in system.processes and KILLs it.
    wanted.setdefault("log_comment", query_id)
    return wanted, readonly in ("1", "2")
