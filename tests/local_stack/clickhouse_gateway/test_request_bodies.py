"""Inserts: every format, every size, and every way to fail."""

import gzip
import json
from typing import Any

import pytest
import zstandard


@pytest.mark.parametrize(
    ("clause", "rows"),
    [
        ("FORMAT CSV\n", '1,"a"\n2,"b"\n'),
        ("FORMAT TabSeparated\n", "1\ta\n2\tb\n"),
        ("FORMAT JSONEachRow\n", '{"a":1,"b":"a"}\n{"a":2,"b":"b"}\n'),
        ("(b, a) VALUES ", "('a', 1), (concat('', 'b'), 1 + 1);\n"),
        ("FORMAT Values ", "(1, 'a') (2, 'b')"),
        ("SETTINGS max_insert_block_size = 100 FORMAT CSV\n", "1,a\n2,b"),
        (
            "FORMAT JSONEachRow SETTINGS input_format_skip_unknown_fields = 1\n",
            '{"a":1,"b":"a","c":0}\n{"a":2,"b":"b"}',
        ),
    ],
)
def test_insert_stores_its_rows(server: Any, table: str, clause: str, rows: str) -> None:
    answer = server.post(f"INSERT INTO {table} {clause}{rows}")

    assert answer.status == 200, answer.text
    assert answer.summary.items() >= {"written_rows": 2, "read_rows": 2, "result_rows": 2}.items()
    assert server.run(f"SELECT * FROM {table} ORDER BY a") == "1\ta\n2\tb\n"


def test_insert_select_counts_what_it_wrote(server: Any, table: str) -> None:
    answer = server.post(f"INSERT INTO {table} SELECT number, 'x' FROM numbers(50)")

    assert answer.summary.items() >= {"written_rows": 50, "read_rows": 50}.items()


def test_insert_without_rows_is_no_error(server: Any, table: str) -> None:
    assert server.post(f"INSERT INTO {table} FORMAT CSV").status == 200
    assert server.post("", query=f"INSERT INTO {table} FORMAT Native").summary["written_rows"] == 0


def test_binary_rows_pass_unchanged(server: Any, table: str) -> None:
    rows = server.post("SELECT toInt32(number), unhex(hex(number)) AS b FROM numbers(3000) FORMAT Native").body

    server.post(f"INSERT INTO {table} FORMAT Native\n".encode() + rows)

    assert server.run(f"SELECT count(), sum(cityHash64(b)) FROM {table}") == server.run(
        "SELECT count(), sum(cityHash64(unhex(hex(number)))) FROM numbers(3000)"
    )


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
def test_large_insert_is_taken_as_it_arrives(server: Any, table: str, encoding: str) -> None:
    rows = b"".join(b'%d,"some text that is the same in all rows"\n' % number for number in range(600_000))
    body = f"INSERT INTO {table} FORMAT CSV\n".encode() + rows
    packed = {"": body, "gzip": gzip.compress(body, 1), "zstd": zstandard.compress(body)}[encoding]

    answer = server.post(
        iter([packed[i : i + 99_999] for i in range(0, len(packed), 99_999)]),
        headers={"Content-Encoding": encoding},
    )

    assert answer.status == 200, answer.text
    assert answer.summary["written_rows"] == 600_000
    assert server.run(f"SELECT count(), max(a) FROM {table}") == "600000\t599999\n"


def test_bad_row_stores_nothing(server: Any, table: str) -> None:
    answer = server.post(f"INSERT INTO {table} FORMAT CSV\n1,a\nx,b\n")

    assert answer.status == 400
    assert "Row 2" in answer.text
    assert "/proc/self" not in answer.text
    assert server.run(f"SELECT count() FROM {table}") == "0\n"


def test_rows_after_a_semicolon_are_refused(server: Any, table: str) -> None:
    answer = server.post(f"INSERT INTO {table} VALUES (1, 'a'); INSERT INTO {table} VALUES (2, 'b')")

    assert answer.code == 33
    assert server.run(f"SELECT count() FROM {table}") == "0\n"


@pytest.mark.parametrize(
    ("definition", "insert", "code"),
    [
        ("(a Int32, CONSTRAINT small CHECK a < 10) ENGINE = MergeTree ORDER BY a", "VALUES (1), (100)", 469),
        (
            "(a Int32) ENGINE = MergeTree PARTITION BY a ORDER BY a",
            "FORMAT CSV\n" + "\n".join(str(number) for number in range(101)),
            252,
        ),
        ("(a Int32) ENGINE = MergeTree ORDER BY a", "FORMAT Native\nthis is not native", None),
        ("(a Int32) ENGINE = MergeTree ORDER BY a", "(missing) VALUES (1)", 16),
    ],
)
def test_insert_that_fails_says_so(server: Any, definition: str, insert: str, code: int | None) -> None:
    server.run(f"CREATE OR REPLACE TABLE failing {definition}")

    answer = server.post(f"INSERT INTO failing {insert}")

    assert answer.status >= 400
    assert code is None or answer.code == code
    assert server.run("SELECT count() FROM failing") == "0\n"


def test_insert_fails_when_a_materialized_view_does(server: Any, table: str) -> None:
    server.run(
        f"CREATE MATERIALIZED VIEW {table}_view ENGINE = MergeTree ORDER BY a AS "
        f"SELECT throwIf(a = 13, 'unlucky') AS a FROM {table}"
    )

    answer = server.post(f"INSERT INTO {table} VALUES (13, 'x')")
    server.run(f"DROP TABLE {table}_view")

    assert answer.code == 395
    assert "unlucky" in answer.text


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"not compressed", {"Content-Encoding": "gzip"}, 271),
        (gzip.compress(b"SELECT 1", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 271),
        (b"SELECT 1", {"Content-Encoding": "br"}, 89),
        (b"SELECT 1", {"Content-Type": "multipart/form-data"}, 36),
    ],
)
def test_body_that_cannot_be_read_is_refused(server: Any, body: bytes, headers: dict[str, str], code: int) -> None:
    assert server.post(body, headers=headers).code == code


def test_sizes_are_bounded(start_server: Any) -> None:
    server = start_server("--max-query-mb", "1", "--max-body-mb", "3")
    server.run("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a")

    long_query = server.post("SELECT 1 -- " + "x" * 2_000_000)
    long_insert = server.post("INSERT INTO t FORMAT RawBLOB\n" + "x" * 2_000_000)
    too_long = server.post("INSERT INTO t FORMAT RawBLOB\n" + "x" * 4_000_000)
    bomb = server.post(
        gzip.compress(b"x" * 10_000_000), headers={"Content-Encoding": "gzip"}, query="INSERT INTO t FORMAT RawBLOB"
    )

    assert long_query.code == 62
    assert long_insert.status == 200
    assert (too_long.status, too_long.code, bomb.code) == (413, 229, 229)
    assert json.loads(server.run("SELECT length(a) FROM t")) == 2_000_000
