"""What a request may run, decided on the engine's own reading of the statement before it runs.

The engine enforces grants, read-only mode and limits. The rest is here: what a client of a server could not do either
(read and write files of the server by INFILE and OUTFILE, send several statements), and the few ways around the
grants that an engine with a single user leaves open (SET ROLE, the file() function).
"""

import re
from collections.abc import Mapping
from itertools import pairwise

from local_stack.clickhouse_gateway.engine import Connection, Statement
from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.statements import INFILE_REFUSED, first_words, top_level_tokens
from local_stack.clickhouse_gateway.users import User, Users

_ASSIGNMENT = r"\s*[a-z_][a-z0-9_]*\s*=\s*(?:-?[0-9][0-9.e+]*|[a-z]+|'[^'\\]*')\s*"
_PLAIN_SETTINGS = re.compile(rf"SETTINGS\s{_ASSIGNMENT}(?:,{_ASSIGNMENT})*", re.IGNORECASE | re.ASCII)
_PLAIN_SET = re.compile(rf"\s*SET\s{_ASSIGNMENT}(?:,{_ASSIGNMENT})*;?\s*", re.IGNORECASE | re.ASCII)
_PLAIN_USE = re.compile(r"\s*USE\s+[a-z_][a-z0-9_]*\s*;?\s*", re.IGNORECASE | re.ASCII)
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
        raise connection.syntax_error(sql, params)
    # `a PARALLEL WITH b` is one statement for a server and two for the engine's count.
    if statement.count > 1 and (user.restricted or "PARALLEL" not in sql.upper()):
        raise ClickHouseError(62, "Syntax error (Multi-statements are not allowed).")
    text = sql.encode()
    words = first_words(text)
    changes_session = words[0] in ("SET", "USE")
    # The engine would let a restricted user take any role: only a text that leaves no doubt passes.
    doubtful = words == ("SET", "ROLE") or words == ("SET", "DEFAULT") or (user.restricted and changes_session)
    if doubtful and not (_PLAIN_SET.fullmatch(sql) or _PLAIN_USE.fullmatch(sql)):
        raise ClickHouseError(497, f"{user.name}: Not enough privileges. SET and USE are allowed with plain values.")
    if statement.kind == "CONTROL" and not changes_session:
        if _has_words(text, "INTO", "OUTFILE"):
            raise ClickHouseError(358, "INTO OUTFILE is not allowed")
        if user.restricted:
            raise ClickHouseError(497, f"{user.name}: Not enough privileges to run {words[0]}.")
    if readonly_request and not statement.reads_only and not changes_session:
        raise ClickHouseError(164, _GET_IS_READONLY)
    # A restricted user is not judged by our own reading of the text: the word alone is enough.
    if not statement.reads_only and (
        _has_words(text, "FROM", "INFILE") or (user.restricted and "INFILE" in sql.upper())
    ):
        raise ClickHouseError(78, INFILE_REFUSED)
    if user.restricted and not changes_session and connection.leaves_engine(sql, params):
        raise ClickHouseError(497, f"{user.name}: Not enough privileges. Files of the server are closed to this user.")
    return statement


def check_settings_clause(user: User, clause: str) -> None:
    """Refuse a SETTINGS clause of a restricted user that is not plain: it was cut from its statement unparsed."""
    if user.restricted and clause and not _PLAIN_SETTINGS.fullmatch(clause.strip()):
        raise ClickHouseError(497, f"{user.name}: Not enough privileges. SETTINGS are allowed with plain values.")


def _has_words(sql: bytes, first: str, second: str) -> bool:
    return second.encode() in sql.upper() and any(
        a.is_word(first) and b.is_word(second) for a, b in pairwise(top_level_tokens(sql))
    )


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
    if user.profile.readonly != 1:
        # The engine has ids of its own; this is how a client finds its query in system.processes and KILLs it.
        wanted.setdefault("log_comment", query_id)
    return wanted, readonly in ("1", "2")
