"""Answers: whole ones with true statistics, streamed ones, and errors, also those that come after the first rows."""

import asyncio
import json
import secrets
import socket
import string
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack.clickhouse_gateway.compression import Compressor, compressor
from local_stack.clickhouse_gateway.engine import Statistics
from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.executions import Execution

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_PIECE_BYTES = 1_048_576
_MEMORY_BYTES = 16_777_216
# A client that reads nothing for so long is taken for gone; its query holds memory all the while.
_STALLED_SECONDS = 300
_CONTENT_TYPES = {
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "CSVWithNamesAndTypes": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONStrings": "application/json; charset=UTF-8",
    "JSONColumns": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "XML": "application/xml; charset=UTF-8",
    **dict.fromkeys(
        ("Native", "RowBinary", "RowBinaryWithNamesAndTypes", "Arrow", "ArrowStream", "Parquet", "ORC", "Avro"),
        "application/octet-stream",
    ),
}
_DISPLAY_NAME = socket.gethostname()


def summary(statistics: Statistics) -> str:
    """The value of X-ClickHouse-Summary."""
    result_rows = statistics.result_rows or statistics.written_rows
    return json.dumps(
        {
            "read_rows": str(statistics.read_rows),
            "read_bytes": str(statistics.read_bytes),
            "written_rows": str(statistics.written_rows),
            "written_bytes": str(statistics.written_bytes),
            "total_rows_to_read": str(statistics.read_rows),
            "result_rows": str(result_rows),
            "result_bytes": str(statistics.result_bytes or statistics.written_bytes),
            "elapsed_ns": str(int(statistics.elapsed_seconds * 1_000_000_000)),
        },
        separators=(",", ":"),
    )


@dataclass(slots=True)
class Response:
    """The answer to one request. `query_id` is empty before there is a query; long results wait in `directory`."""

    send: Send
    version: str
    directory: Path
    query_id: str = ""
    encoding: str | None = None
    without_body: bool = False

    async def plain(self, text: str, status: int = 200) -> None:
        """Answer with a text."""
        headers = [("content-type", "text/html; charset=UTF-8"), ("x-clickhouse-server-display-name", _DISPLAY_NAME)]
        await self._whole(status, headers, text.encode())

    async def error(self, error: ClickHouseError) -> None:
        """Answer with an error; nothing may have been sent before."""
        headers = self._headers()
        headers += [("content-type", "text/plain; charset=UTF-8"), ("x-clickhouse-exception-code", str(error.code))]
        if error.status == 401:
            headers.append(("www-authenticate", 'Basic realm="ClickHouse server HTTP API"'))
        await self._whole(error.status, headers, f"{error.text(self.version)}\n".encode())

    async def query(self, execution: Execution, buffer_bytes: int | None) -> ClickHouseError | None:
        """Answer with the output of a query and return the error it ended with.

        Up to `buffer_bytes` are held back, so that a short result comes with true statistics and a failed query with
        its status. None holds everything back, on disk beyond 16 MiB.
        """
        size = 0
        with tempfile.SpooledTemporaryFile(_MEMORY_BYTES, dir=str(self.directory)) as spool:
            output = execution.output()
            async for piece in output:
                size += len(piece)
                if buffer_bytes is not None and size > buffer_bytes:
                    spool.seek(0)
                    return await self._stream(execution, spool.read() + piece, output)
                if size > _MEMORY_BYTES:
                    await asyncio.to_thread(spool.write, piece)
                else:
                    spool.write(piece)
            outcome = await execution.outcome
            if outcome.error is not None:
                await self.error(outcome.error)
                return outcome.error
            headers = self._headers(execution.format)
            headers.append(("x-clickhouse-summary", summary(outcome.statistics)))
            spool.seek(0)
            if size <= _PIECE_BYTES:
                await self._whole(200, headers, spool.read())
            else:
                await self._pieces(headers, spool, size)
        return None

    def _headers(self, output_format: str | None = None) -> list[tuple[str, str]]:
        headers = [("x-clickhouse-server-display-name", _DISPLAY_NAME), ("x-clickhouse-timezone", "UTC")]
        if self.query_id:
            headers.append(("x-clickhouse-query-id", self.query_id))
        if output_format is not None:
            content_type = _CONTENT_TYPES.get(output_format, "text/plain; charset=UTF-8")
            headers += [("x-clickhouse-format", output_format), ("content-type", content_type)]
        return headers

    async def _start(self, status: int, headers: list[tuple[str, str]]) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def _body(self, body: bytes, more: bool) -> None:
        async with asyncio.timeout(_STALLED_SECONDS):
            await self.send(
                {"type": "http.response.body", "body": b"" if self.without_body else body, "more_body": more}
            )

    async def _whole(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if self.encoding is not None and body:
            packer = compressor(self.encoding)
            body = packer.compress(body) + packer.flush()
            headers.append(("content-encoding", self.encoding))
        headers.append(("content-length", str(len(body))))
        await self._start(status, headers)
        await self._body(body, more=False)

    async def _pieces(self, headers: list[tuple[str, str]], spool: Any, size: int) -> None:
        packer = self._packer(headers)
        if packer is None:
            headers.append(("content-length", str(size)))
        await self._start(200, headers)
        while piece := await asyncio.to_thread(spool.read, _PIECE_BYTES):
            await self._body(await _packed(packer, piece), more=True)
        await self._body(packer.flush() if packer else b"", more=False)

    def _packer(self, headers: list[tuple[str, str]]) -> Compressor | None:
        if self.encoding is None:
            return None
        headers.append(("content-encoding", self.encoding))
        return compressor(self.encoding)

    async def _stream(self, execution: Execution, first: bytes, output: AsyncIterator[bytes]) -> ClickHouseError | None:
        tag = "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        headers = [*self._headers(execution.format), ("x-clickhouse-exception-tag", tag)]
        packer = self._packer(headers)
        await self._start(200, headers)
        await self._body(await _packed(packer, first), more=True)
        async for piece in output:
            await self._body(await _packed(packer, piece), more=True)
        outcome = await execution.outcome
        if outcome.error is None:
            await self._body(packer.flush() if packer else b"", more=False)
            return None
        message = f"{outcome.error.text(self.version)}\n".encode()
        marker = b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n"
        ending = marker % (tag.encode(), message, len(message), tag.encode())
        # The body is left without its end, as the server does: a client that does not know the marker fails as well.
        await self._body(await _packed(packer, ending) + (packer.flush() if packer else b""), more=True)
        return outcome.error


async def _packed(packer: Compressor | None, piece: bytes) -> bytes:
    if packer is None:
        return piece
    return await asyncio.to_thread(packer.compress, piece)
