"""Reading just enough SQL: where the rows of an INSERT begin, and which format a SELECT names.

Everything about rights is decided by the engine's own parser (see `engine`); this one only cuts text. Where both would
disagree, the engine sees the cut text and reports a syntax error.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from local_stack.clickhouse_gateway.errors import ClickHouseError

_TOKEN = re.compile(
    rb"""
      (?P<trivia>\s+|--[^\n]*(?:\n|\Z)|\#[ !][^\n]*(?:\n|\Z)|/\*.*?\*/)
    | (?P<string>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    | (?P<parameter>\{\s*\w+\s*:[^}]*\})
    | (?P<number>[0-9][0-9A-Za-z_.]*)
    | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
INFILE_REFUSED = "Query has infile and was send directly to server"
_LAST_LINE_FORMAT = re.compile(rb"\n\s*FORMAT\s+([A-Za-z0-9_]+)\s*\Z", re.IGNORECASE)
_SETTINGS_FOLLOW = re.compile(rb"(?:\s|/\*.*?\*/|--[^\n]*\n)+SETTINGS\s", re.IGNORECASE | re.DOTALL)
_FORMAT_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A token at parenthesis depth 0; a whole parenthesis is one token of kind `group`."""

    kind: str
    text: bytes
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the given keywords, in any case."""
        return self.kind == "word" and self.text.decode().upper() in words


@dataclass(frozen=True, slots=True)
class InsertHead:
    """An INSERT whose rows follow it: the statement without its format, its SETTINGS, and where the rows begin."""

    target: str
    settings: str
    format: str
    data_start: int

    @property
    def without_rows(self) -> str:
        """The statement alone, for the engine's parser."""
        return f"{self.target} {self.settings} FORMAT {self.format}"

    def reading(self, path: str) -> str:
        """The statement that inserts the rows of a file."""
        return f"{self.target} FROM INFILE '{path}' COMPRESSION 'none' {self.settings} FORMAT {self.format}"


@dataclass(frozen=True, slots=True)
class OutputClause:
    """A SELECT cut at its FORMAT clause: before it, the format or None, and a SETTINGS clause after it."""

    before: str
    format: str | None
    after: str


def top_level_tokens(sql: bytes) -> Iterator[Token]:
    """Yield the tokens outside of all parentheses, without comments and white space."""
    depth, group_start = 0, 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        if kind == "open":
            if depth == 0:
                group_start = match.start()
            depth += 1
        elif kind == "close":
            depth = max(depth - 1, 0)
            if depth == 0:
                yield Token("group", sql[group_start : match.end()], group_start, match.end())
        elif depth == 0 and kind is not None and kind != "trivia":
            yield Token(kind, match[0], match.start(), match.end())


def first_words(sql: bytes, count: int = 2) -> tuple[str, ...]:
    """The first tokens of a statement, upper case."""
    words = []
    for token in top_level_tokens(sql):
        words.append(token.text.decode(errors="replace").upper())
        if len(words) == count:
            break
    return tuple(words)


def insert_head(sql: bytes, complete: bool) -> InsertHead | None:
    """Find where the rows of an INSERT begin, or None when the text has no such place (yet, unless `complete`).

    Raises ClickHouseError for what only the gateway itself may do (FROM INFILE) and for rows read through input().
    """
    tokens = top_level_tokens(sql)
    token = next(tokens, None)
    if token is None or not token.is_word("INSERT"):
        return None
    token = _skip_target(tokens)
    settings_start: int | None = None
    while token is not None:
        end = token.start if settings_start is None else settings_start
        if token.is_word("SETTINGS"):
            settings_start = token.start
        elif token.is_word("FROM"):
            raise ClickHouseError(78, INFILE_REFUSED)
        elif token.is_word("SELECT", "WITH") or (
            token.kind == "group" and first_words(token.text[1:], 1) == ("SELECT",)
        ):
            if re.search(rb"(?i)\binput\s*\(", sql) and any(t.is_word("FORMAT") for t in tokens):
                raise ClickHouseError(48, "INSERT ... SELECT ... FROM input() with rows in the request")
            return None
        elif token.is_word("VALUES"):
            settings = sql[end : token.start].decode()
            return InsertHead(sql[:end].decode(), settings, "Values", token.end)
        elif token.is_word("FORMAT"):
            name = next(tokens, None)
            if name is None or (name.end == len(sql) and not complete):
                return None
            settings = sql[end : token.start].decode()
            if name.is_word("VALUES"):
                return InsertHead(sql[:end].decode(), settings, "Values", name.end)
            settings_end = _settings_after_format(sql, name.end)
            if settings_end is not None:
                settings = sql[name.end : settings_end].decode()
            return InsertHead(
                sql[:end].decode(), settings, name.text.decode(), _data_start(sql, settings_end or name.end)
            )
        token = next(tokens, None)
    return None


def _skip_target(tokens: Iterator[Token]) -> Token | None:
    """Step over INTO [TABLE] [FUNCTION] name, which may be spelled like a keyword; return the token after it."""
    token = next(tokens, None)
    while token is not None and token.is_word("INTO", "TABLE", "FUNCTION"):
        token = next(tokens, None)
    token = next(tokens, None)
    while token is not None and token.text == b".":
        next(tokens, None)
        token = next(tokens, None)
    return token


def _settings_after_format(sql: bytes, start: int) -> int | None:
    """Where `SETTINGS a = 1, b = 2` after a format name ends, or None if it is not there."""
    # Rows of data are not looked at as tokens: in one that is longer than this piece of it, the search for each quote's
    # partner takes quadratic time.
    if not _SETTINGS_FOLLOW.match(sql, start):
        return None
    tokens = list(top_level_tokens(sql[start : start + 65536]))
    if len(tokens) < 4 or tokens[2].text != b"=":
        return None
    position = 1
    while position + 2 < len(tokens) and tokens[position].kind == "word" and tokens[position + 1].text == b"=":
        value = position + 2
        if tokens[value].text in (b"-", b"+"):
            value += 1
        end = tokens[value].end
        if value + 1 >= len(tokens) or tokens[value + 1].text != b",":
            return start + end
        position = value + 2
    return None


def _data_start(sql: bytes, position: int) -> int:
    """Rows begin after the first line break after the format, or after white space if there is none."""
    if sql[position : position + 1] == b";":
        raise ClickHouseError(62, "Syntax error: you have excessive ';' symbol before data for INSERT.")
    while sql[position : position + 1] in (b" ", b"\t", b"\f"):
        position += 1
    if sql[position : position + 1] == b"\r":
        position += 1
    if sql[position : position + 1] == b"\n":
        position += 1
    return position


def output_clause(sql: bytes) -> OutputClause:
    """Cut a SELECT at its FORMAT clause."""
    # As drivers write it. At the end of a text that parses, a line of FORMAT and a name is nothing else; the long
    # way reads every token.
    if last_line := _LAST_LINE_FORMAT.search(sql):
        return OutputClause(sql[: last_line.start()].decode(), last_line[1].decode(), "")
    tokens = list(top_level_tokens(sql))
    while tokens and tokens[-1].text == b";":
        tokens.pop()
    end = tokens[-1].end if tokens else 0
    for index in range(len(tokens) - 2, 0, -1):
        following = tokens[index + 2 :]
        if tokens[index].is_word("FORMAT") and tokens[index + 1].kind == "word" and tokens[index - 1].text != b",":
            if following and not following[0].is_word("SETTINGS"):
                break
            after = sql[following[0].start : end].decode() if following else ""
            return OutputClause(sql[: tokens[index].start].decode(), tokens[index + 1].text.decode(), after)
    return OutputClause(sql[:end].decode(), None, "")


def check_format_name(name: str) -> str:
    """Return a format name given outside of a query. Raises ClickHouseError 73 if it cannot be one."""
    if not _FORMAT_NAME.fullmatch(name):
        raise ClickHouseError(73, f"Unknown format {name}.")
    return name


def check_end_of_values(rows: bytes) -> None:
    """Raise ClickHouseError 33 when something follows the `;` after the rows of INSERT ... VALUES.

    The engine stops at the semicolon and would leave the rest out without a word.
    """
    if b";" not in rows:
        return
    for match in re.finditer(rb"'(?:[^'\\]|\\.|'')*'|;", rows, re.DOTALL):
        if match[0] == b";":
            if rows[match.end() :].strip():
                raise ClickHouseError(33, "Cannot read data after semicolon")
            return
