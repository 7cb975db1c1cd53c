import gzip
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet

from command_line.row_sources import MalformedRow, Row, UnreadableFile, content_identity, open_rows

_CSV = b'name,amount\nf\xc3\xbcr,1.10\n"a,b",2\n'
_NDJSON = b'{"name":"f\\u00fcr","amount":1.10}\n\n{"name":"a,b","amount":2}\n'


def _rows(path: Path) -> list[Row | MalformedRow]:
    with open_rows(path) as source:
        rows = list(source.rows)
        assert source.done() == 1.0
        return rows


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", _CSV),
        ("a.csv", b"\xef\xbb\xbf" + _CSV.replace(b"\n", b"\r\n")),
        ("a.tsv", b"name\tamount\nf\xc3\xbcr\t1.10\na,b\t2\n"),
        ("a.b.csv.gz", gzip.compress(_CSV, mtime=0)),
        ("A.CSV.GZ", gzip.compress(_CSV, mtime=0)),
        ("a.csv.zst", zstandard.compress(_CSV)),
    ],
)
def test_open_rows_reads_text_tables(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    assert _rows(path) == [{"name": "für", "amount": "1.10"}, {"name": "a,b", "amount": "2"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", _NDJSON),
        ("a.jsonl.gz", gzip.compress(_NDJSON, mtime=0)),
        ("a.ndjson.zst", zstandard.compress(_NDJSON)),
    ],
)
def test_open_rows_reads_json_lines_with_exact_numbers(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    assert [str(row["amount"]) for row in _rows(path) if isinstance(row, dict)] == ["1.10", "2"]


def test_open_rows_reads_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"name": ["für", None], "amount": pa.array([Decimal("1.10"), None], pa.decimal128(9, 2))})
    parquet.write_table(table, path)

    with open_rows(path) as source:
        assert source.columns == ("name", "amount")
        assert list(source.rows) == [{"name": "für", "amount": Decimal("1.10")}, {"name": None, "amount": None}]
        assert source.done() == 1.0


def test_open_rows_goes_on_after_a_malformed_row(tmp_path: Path) -> None:
    table, lines = tmp_path / "a.csv", tmp_path / "a.ndjson"
    table.write_text("a,b\n1\n1,2,3\n1,2\n")
    lines.write_text('{"a":1}\n[1]\n{"a":\n{"a":2}\n')

    assert [isinstance(row, MalformedRow) for row in _rows(table)] == [True, True, False]
    assert [isinstance(row, MalformedRow) for row in _rows(lines)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xls", b"x"),
        ("a", b"x"),
        ("a.csv", b""),
        ("a.csv", b"a,a\n1,2\n"),
        ("a.csv", b"a,b\n\xff,2\n"),
        ("a.csv", b'a,b\n"1,2\n'),
        ("a.csv.gz", gzip.compress(_CSV, mtime=0)[:-12]),
        ("a.csv.gz", _CSV),
        ("a.ndjson.zst", _NDJSON),
        ("a.parquet", _CSV),
    ],
)
def test_open_rows_says_which_file_is_unreadable(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UnreadableFile, match=name):
        _rows(path)


def test_content_identity_is_of_the_content(tmp_path: Path) -> None:
    one, same, other = tmp_path / "1.csv", tmp_path / "2.csv", tmp_path / "3.csv"
    for path, content in ((one, _CSV), (same, _CSV), (other, _CSV + b"x")):
        path.write_bytes(content)

    assert content_identity(one) == content_identity(same) != content_identity(other)
