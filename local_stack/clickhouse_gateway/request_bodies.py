"""The body of a request: SQL is kept in memory, the rows of an INSERT go to an anonymous file as they arrive."""

import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from local_stack.clickhouse_gateway.compression import RequestDecoder
from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.statements import InsertHead, insert_head

_SEARCH_BYTES = 262_144


class MemoryFile:
    """An anonymous file in memory that the engine reads by name."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("clickhouse-insert", os.MFD_CLOEXEC)

    @property
    def path(self) -> str:
        """The name under which this process can open the file."""
        return f"/proc/self/fd/{self._descriptor}"

    def write(self, data: bytes) -> None:
        """Append."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def read(self) -> bytes:
        """The whole content."""
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    def close(self) -> None:
        """Give the memory back."""
        os.close(self._descriptor)


@dataclass(slots=True)
class ExternalTable:
    """A table that comes with a query, as a file of a multipart form."""

    name: str
    structure: str
    format: str
    rows: MemoryFile


@dataclass(slots=True)
class QueryText:
    """What a request asks for: SQL, or an INSERT with its rows; and the tables it brings."""

    sql: str
    insert: InsertHead | None = None
    rows: MemoryFile | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    external_tables: list[ExternalTable] = field(default_factory=list)

    def close(self) -> None:
        """Give the memory of the rows back."""
        for table in self.external_tables:
            table.rows.close()
        self.external_tables.clear()
        if self.rows is not None:
            self.rows.close()
            self.rows = None


@dataclass(slots=True)
class BodyLimits:
    """Bounds in bytes: of a query text, and of a whole request after decompression."""

    max_query_bytes: int
    max_body_bytes: int


async def read_query(url_query: str, pieces: AsyncIterator[bytes], encoding: str, limits: BodyLimits) -> QueryText:
    """Read a request into its SQL and rows. `url_query` comes first, with a line break before the body.

    Raises ClickHouseError: 62 (query too long), 229 (body too long), 36 (not UTF-8), 271 (bad compression).
    """
    decoder = RequestDecoder(encoding)
    head = bytearray(url_query.encode())
    insert: InsertHead | None = None
    rows: MemoryFile | None = None
    total, searched, first = 0, 0, True
    try:
        async for piece in pieces:
            data = decoder.decode(piece)
            total += len(data)
            if total > limits.max_body_bytes:
                raise ClickHouseError(229, f"The request is larger than {limits.max_body_bytes} bytes.")
            if not data:
                continue
            if rows is not None:
                rows.write(data)
                continue
            if first and head:
                head += b"\n"
            first = False
            head += data
            if len(head) >= max(2 * searched, _SEARCH_BYTES):
                searched = len(head)
                insert = insert_head(bytes(head), complete=False)
                if insert is not None:
                    rows = MemoryFile()
                    rows.write(bytes(head[insert.data_start :]))
                elif len(head) > limits.max_query_bytes:
                    raise ClickHouseError(62, f"Max query size exceeded: {limits.max_query_bytes} bytes.")
        decoder.finish()
        if insert is None:
            insert = insert_head(bytes(head), complete=True)
            if insert is not None:
                rows = MemoryFile()
                rows.write(bytes(head[insert.data_start :]))
        if insert is not None and rows is not None:
            return QueryText("", insert, rows)
        return QueryText(_decoded(bytes(head)))
    except BaseException:
        if rows is not None:
            rows.close()
        raise


def _decoded(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise ClickHouseError(36, f"The query is not UTF-8: {error}.") from error


async def read_form(
    url_params: Mapping[str, str], pieces: AsyncIterator[bytes], content_type: str, limits: BodyLimits
) -> QueryText:
    """Read a multipart form: fields are parameters of the request, files are external tables.

    Raises ClickHouseError: 36 (not a form), 229 (too long).
    """
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        raise ClickHouseError(36, "The multipart form has no boundary.")
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limits.max_body_bytes:
            raise ClickHouseError(229, f"The request is larger than {limits.max_body_bytes} bytes.")
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in (b"\r\n" + bytes(body)).split(b"\r\n--" + boundary[1].encode())[1:]:
        head, separator, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if not separator or name is None:
            continue
        if b"filename=" in head:
            files[name[1].decode()] = content
        else:
            fields[name[1].decode()] = _decoded(content)
    params = {**url_params, **fields}
    sql = "\n".join(text for text in (url_params.get("query", ""), fields.get("query", "")) if text)
    insert = insert_head(sql.encode(), complete=True)
    text = QueryText(sql, params=params)
    if insert is not None:
        text.insert, text.rows = insert, MemoryFile()
        text.rows.write(sql.encode()[insert.data_start :])
    for table, content in files.items():
        structure = params.get(f"{table}_structure") or _numbered(params.get(f"{table}_types", ""))
        rows = MemoryFile()
        rows.write(content)
        text.external_tables.append(
            ExternalTable(table, structure, params.get(f"{table}_format", "TabSeparated"), rows)
        )
    return text


def _numbered(types: str) -> str:
    return ", ".join(f"_{index} {name}" for index, name in enumerate(types.split(","), 1) if name)
