"""Rows of a data file one after the other, in bounded memory: CSV, TSV, NDJSON and Parquet, plain or compressed."""

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import msgspec
import zstandard

Row: TypeAlias = dict[str, Any]
"""Values by column. CSV values are text; other formats keep their types, numbers with a point as exact Decimal."""

_MAX_CELL_CHARACTERS = 16 * 1024 * 1024
_PARQUET_ROWS = 2000
_BUFFER_BYTES = 1024 * 1024
_json_object = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class UnreadableFile(Exception):
    """The file is of no known format, or is not what its name says."""


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A row that cannot be read; the ones after it can."""

    text: str
    problem: str


@dataclass(frozen=True, slots=True)
class RowSource:
    """An open data file."""

    columns: tuple[str, ...] | None
    """None when each row names its own (NDJSON)."""
    rows: Iterator[Row | MalformedRow]
    done: Callable[[], float]
    """Share of the file that was read, 0 to 1."""


def content_identity(path: Path) -> str:
    """Digest of the file's bytes: another name or place is the same file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_rows(path: Path) -> AbstractContextManager[RowSource]:
    """Open a data file by the ending of its name: `.csv`, `.tsv`, `.ndjson`, `.jsonl` (each also with `.gz` or `.zst`),
    `.parquet`.

    Raises:
        UnreadableFile: the name has another ending, or the content is not of that kind.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in (".gz", ".zst") else ""
    ending = suffixes[-1] if suffixes else ""
    if ending in (".csv", ".tsv"):
        return _csv(path, compression, "," if ending == ".csv" else "\t")
    if ending in (".ndjson", ".jsonl"):
        return _ndjson(path, compression)
    if ending in (".parquet", ".pq") and not compression:
        return _parquet(path)
    raise UnreadableFile(
        f"{path.name}: the name must end with .csv, .tsv, .ndjson or .jsonl (and .gz, .zst) or .parquet"
    )


@contextmanager
def _csv(path: Path, compression: str, delimiter: str) -> Iterator[RowSource]:
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    with (
        path.open("rb") as raw,
        _decompressed(raw, compression) as binary,
        io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text,
    ):
        lines = csv.reader(text, delimiter=delimiter, strict=True)
        with _readable(path):
            columns = tuple(next(lines, ()))
        if len(set(columns)) != len(columns) or not columns:
            raise UnreadableFile(f"{path.name}: the first line must name the columns, each once")

        def rows() -> Iterator[Row | MalformedRow]:
            width = len(columns)
            with _readable(path):
                for values in lines:
                    if len(values) == width:
                        yield dict(zip(columns, values, strict=True))
                    elif values:
                        problem = f"line {lines.line_num} has {len(values)} values for {width} columns"
                        yield MalformedRow(delimiter.join(values), problem)

        yield RowSource(columns, rows(), _progress(raw, path))


@contextmanager
def _ndjson(path: Path, compression: str) -> Iterator[RowSource]:
    with path.open("rb") as raw, _decompressed(raw, compression) as binary:

        def rows() -> Iterator[Row | MalformedRow]:
            with _readable(path):
                for line in binary:
                    if not line.strip():
                        continue
                    try:
                        yield _json_object.decode(line)
                    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                        yield MalformedRow(line.decode(errors="replace"), f"not a JSON object: {error}")

        yield RowSource(None, rows(), _progress(raw, path))


@contextmanager
def _parquet(path: Path) -> Iterator[RowSource]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UnreadableFile("Parquet files need pyarrow: pip install 'analytics-service[parquet]'") from error
    try:
        file = ParquetFile(path)
    except ArrowException as error:
        raise UnreadableFile(f"{path.name}: {error}") from error
    with file:
        total, read = file.metadata.num_rows, 0

        def rows() -> Iterator[Row | MalformedRow]:
            nonlocal read
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                yield from batch.to_pylist()
                read += batch.num_rows

        yield RowSource(tuple(file.schema_arrow.names), rows(), lambda: read / total if total else 1.0)


@contextmanager
def _decompressed(raw: IO[bytes], compression: str) -> Iterator[IO[bytes]]:
    if compression == ".gz":
        with gzip.GzipFile(fileobj=raw) as unzipped:
            yield cast("IO[bytes]", unzipped)
    elif compression == ".zst":
        decompressor = zstandard.ZstdDecompressor()
        with decompressor.stream_reader(raw, read_across_frames=True, closefd=False) as reader:
            yield io.BufferedReader(cast("io.RawIOBase", reader), _BUFFER_BYTES)
    else:
        yield raw


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (csv.Error, UnicodeDecodeError, EOFError, OSError, zstandard.ZstdError) as error:
        raise UnreadableFile(f"{path.name}: {error}") from error


def _progress(raw: IO[bytes], path: Path) -> Callable[[], float]:
    size = path.stat().st_size
    return lambda: raw.tell() / size if size else 1.0
