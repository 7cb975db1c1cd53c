"""clickhouse-connect against the gateway, as against a server."""

import asyncio
import datetime as dt
import decimal
import io
import secrets
import uuid
from collections.abc import AsyncIterator
from typing import Any

import clickhouse_connect
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

UTC = dt.UTC
TYPES = {
    "id": "UInt64",
    "name": "String",
    "maybe": "Nullable(String)",
    "kind": "LowCardinality(String)",
    "price": "Decimal(38, 4)",
    "moment": "DateTime64(3, 'UTC')",
    "day": "Date",
    "flag": "Bool",
    "tags": "Array(LowCardinality(String))",
    "scores": "Map(String, Float64)",
    "pair": "Tuple(Int8, String)",
    "key": "UUID",
    "extra": "JSON",
    "states": "Array(Nullable(Int32))",
}
ROWS = [
    [
        2**64 - 1,
        'it\'s "quoted" \t\n\\ ✓ \x00',
        None,
        "a",
        decimal.Decimal("12345678901234567890.1234"),
        dt.datetime(2024, 2, 29, 23, 59, 59, 999000, UTC),
        dt.date(2024, 2, 29),
        True,
        ["x", "y", "x"],
        {"a": 1.5},
        (-1, "é"),
        uuid.UUID("12345678-1234-5678-1234-567812345678"),
        {"a": {"b": 1}, "c": "text"},
        [1, None],
    ],
    [
        0,
        "",
        "",
        "b",
        decimal.Decimal("-0.0001"),
        dt.datetime(1970, 1, 1, tzinfo=UTC),
        dt.date(1970, 1, 1),
        False,
        [],
        {},
        (127, ""),
        uuid.UUID(int=0),
        {},
        [],
    ],
]


@pytest.fixture
def wide_table(client: Any) -> Any:
    name = f"wide_{secrets.token_hex(4)}"
    columns = ", ".join(f"{column} {type_name}" for column, type_name in TYPES.items())
    client.command(f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY id")
    yield name
    client.command(f"DROP TABLE {name}")


def test_client_learns_version_zone_and_settings(client: Any) -> None:
    assert client.server_version.startswith("26.")
    assert str(client.server_tz) == "UTC"
    assert client.server_settings["max_threads"].readonly == 0
    assert client.ping()


def test_values_of_many_types_come_back_as_they_went(server: Any, wide_table: str) -> None:
    client = server.client(tz_mode="aware")

    summary = client.insert(wide_table, ROWS, column_names=list(TYPES))
    result = client.query(f"SELECT * FROM {wide_table} ORDER BY id DESC")
    client.close()

    assert summary.written_rows == 2
    assert [list(row) for row in result.result_rows] == ROWS
    assert result.column_names == tuple(TYPES)
    assert result.summary["read_rows"] == "2"


@pytest.mark.parametrize("compress", [True, False, "lz4", "zstd", "gzip"])
def test_rows_pass_with_every_compression(server: Any, table: str, compress: Any) -> None:
    client = server.client(compress=compress)
    rows = [(number, "text " * 10) for number in range(50_000)]

    client.insert(table, rows, column_names=["a", "b"])
    result = client.query(f"SELECT * FROM {table} ORDER BY a").result_rows
    client.close()

    assert result == rows


def test_parameters_are_bound_by_type(client: Any) -> None:
    parameters = {
        "text": "it's \\ \t ✓'; DROP TABLE x --",
        "nothing": None,
        "texts": ["a'b", "c\\d"],
        "day": dt.date(2024, 1, 31),
        "moment": dt.datetime(2024, 1, 31, 12, 0, 0, 123000, UTC),
        "amount": decimal.Decimal("1.2345"),
        "numbers": [1, 2, 3],
    }

    row = client.query(
        "SELECT {text:String}, {nothing:Nullable(String)}, {texts:Array(String)}, {day:Date}, "
        "{moment:DateTime64(3, 'UTC')}, {amount:Decimal(18, 4)}, {numbers:Array(UInt8)}",
        parameters=parameters,
    ).result_rows[0]

    assert row[:4] == (parameters["text"], None, parameters["texts"], parameters["day"])
    assert row[4].replace(tzinfo=UTC) == parameters["moment"]
    assert row[5:] == (parameters["amount"], [1, 2, 3])


def test_long_parameters_go_in_a_form(server: Any) -> None:
    client = server.client(form_encode_query_params=True)
    names = [f"name-{number}" for number in range(20_000)]

    count = client.query("SELECT length({names:Array(String)})", parameters={"names": names}).result_rows
    client.close()

    assert count == [(20_000,)]


def test_settings_go_with_client_and_query(server: Any) -> None:
    client = server.client(settings={"join_use_nulls": 1, "profile": "adhoc"})

    both = client.query(
        "SELECT getSetting('join_use_nulls'), getSetting('max_block_size'), getSetting('max_threads')",
        settings={"max_block_size": 9},
    )
    client.close()

    assert both.result_rows == [(True, 9, 1)]


def test_data_frames_and_arrow_pass_both_ways(client: Any, table: str) -> None:
    client.insert_df(table, pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    client.insert_arrow(table, pa.table({"a": pa.array([3], pa.int32()), "b": ["z"]}))

    frame = client.query_df(f"SELECT * FROM {table} ORDER BY a")
    arrow = client.query_arrow(f"SELECT * FROM {table} ORDER BY a")
    with client.query_df_stream(f"SELECT * FROM {table}") as stream:
        streamed = pd.concat(stream)

    assert list(frame["a"]) == [1, 2, 3]
    assert arrow.column("b").to_pylist() == ["x", "y", "z"]
    assert len(streamed) == 3


def test_raw_insert_and_raw_query(client: Any, table: str) -> None:
    client.raw_insert(table, ["a", "b"], b"1,one\n2,two\n", fmt="CSV")
    client.raw_insert(table, ["a", "b"], io.BytesIO(b'{"a":3,"b":"three"}\n'), fmt="JSONEachRow")

    raw = client.raw_query(f"SELECT b FROM {table} ORDER BY a", fmt="TSV")

    assert raw == b"one\ntwo\nthree\n"


def test_rows_are_streamed_in_blocks(client: Any) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
        blocks = list(stream)

    assert len(blocks) > 1
    assert sum(len(block) for block in blocks) == 1_000_000


def test_columns_are_known_without_rows(client: Any) -> None:
    result = client.query("SELECT 1 AS a, 'x' AS b LIMIT 0")

    assert (result.column_names, result.result_rows) == (("a", "b"), [])


def test_error_has_the_code_and_the_text_of_the_server(client: Any) -> None:
    with pytest.raises(DatabaseError, match=r"Code: 60.*UNKNOWN_TABLE") as failed:
        client.query("SELECT * FROM missing")

    assert (failed.value.code, failed.value.name) == (60, "UNKNOWN_TABLE")


def test_insert_that_fails_raises(client: Any) -> None:
    name = f"checked_{secrets.token_hex(4)}"
    client.command(f"CREATE TABLE {name} (a Int32, CONSTRAINT c CHECK a < 10) ENGINE = MergeTree ORDER BY a")

    with pytest.raises(DatabaseError, match="VIOLATED_CONSTRAINT"):
        client.insert(name, [[100]], column_names=["a"])

    assert client.command(f"SELECT count() FROM {name}") == 0
    client.command(f"DROP TABLE {name}")


@pytest.mark.parametrize("compress", [False, "zstd", "lz4"])
def test_error_in_the_middle_of_a_stream_is_seen(server: Any, compress: Any) -> None:
    client = server.client(compress=compress)

    with (
        pytest.raises(StreamFailureError, match="too far"),
        client.query_row_block_stream("SELECT throwIf(number = 3000000, 'too far') FROM numbers(4000000)") as stream,
    ):
        for _ in stream:
            pass
    client.close()


def test_reader_is_told_what_it_may_not(server: Any) -> None:
    client = server.client(username="bi_reader")

    with pytest.raises(DatabaseError, match="Not enough privileges"):
        client.command("CREATE TABLE marts.x (a Int8) ENGINE = Memory")

    assert client.command("SELECT count() FROM orders") == 1000
    client.close()


def test_wrong_password_is_refused(server: Any) -> None:
    with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED"):
        server.client(password="wrong")


@pytest.fixture
async def async_client(server: Any) -> AsyncIterator[Any]:
    client = await clickhouse_connect.get_async_client(
        host="127.0.0.1", port=server.port, username="default", password="secret"
    )
    yield client
    await client.close()


async def test_async_client_queries_in_parallel(async_client: Any) -> None:
    results = await asyncio.gather(*(async_client.query(f"SELECT {number}, sleep(0.2)") for number in range(6)))

    assert [result.result_rows[0][0] for result in results] == list(range(6))


async def test_async_client_inserts_streams_and_fails(async_client: Any, table: str) -> None:
    await async_client.insert(table, [[1, "a"], [2, "b"]], column_names=["a", "b"])
    frame = await async_client.query_df(f"SELECT * FROM {table} ORDER BY a")
    async with await async_client.query_row_block_stream("SELECT number FROM numbers(300000)") as stream:
        count = sum([len(block) async for block in stream])

    assert list(frame["b"]) == ["a", "b"]
    assert count == 300_000
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        await async_client.query("SELECT * FROM missing")


def test_sqlalchemy_reads_writes_and_reflects(server: Any, table: str) -> None:
    engine = sqlalchemy.create_engine(f"clickhousedb://default:secret@127.0.0.1:{server.port}/default")

    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')"))
        rows = connection.execute(
            sqlalchemy.text(f"SELECT b FROM {table} WHERE a >= :least ORDER BY a"), {"least": 1}
        ).all()
        columns = [column["name"] for column in sqlalchemy.inspect(connection).get_columns(table)]
    engine.dispose()

    assert rows == [("a",), ("b",)]
    assert columns == ["a", "b"]
