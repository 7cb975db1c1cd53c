"""Long results, errors after the first rows, and clients that leave."""

import gzip
import http.client
import json
import re
import time
from typing import Any

import pytest

LONG = "SELECT number, toString(number) AS text FROM numbers(2500000)"
MEBIBYTE = 1_048_576


def read(server: Any, sql: str, encoding: str = "", **params: object) -> tuple[int, int]:
    """Bytes of the answer, and by how many bytes the gateway grew while sending them."""
    connection, size, before = server.connection(), 0, server.rss_bytes
    headers = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "secret", "Accept-Encoding": encoding}
    query = "&".join(f"{name}={value}" for name, value in params.items())
    connection.request("POST", f"/?{query}", sql, headers)
    response = connection.getresponse()
    grown = 0
    while piece := response.read(MEBIBYTE):
        size += len(piece)
        grown = max(grown, server.rss_bytes - before)
    connection.close()
    return size, grown


@pytest.mark.parametrize("output_format", ["Native", "TabSeparated", "JSON", "CSVWithNames", "ArrowStream"])
@pytest.mark.parametrize("wait", [0, 1])
def test_long_result_takes_little_memory(server: Any, output_format: str, wait: int) -> None:
    read(server, f"{LONG} LIMIT 500000 FORMAT {output_format}")

    size, grown = read(server, f"{LONG} FORMAT {output_format}", wait_end_of_query=wait)

    assert size > 25 * MEBIBYTE
    assert grown < 100 * MEBIBYTE


def test_long_result_has_one_header_and_one_footer(server: Any) -> None:
    table = json.loads(server.run(f"{LONG} LIMIT 300000 FORMAT JSON"))
    csv = server.run(f"{LONG} LIMIT 300000 FORMAT CSVWithNames")

    assert table["rows"] == len(table["data"]) == 300_000
    assert csv.count("number") == 1


def test_statistics_of_a_held_back_result_are_true(server: Any) -> None:
    answer = server.post(f"{LONG} FORMAT Native", wait_end_of_query=1)

    assert answer.summary["result_rows"] == answer.summary["read_rows"] == 2_500_000
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_statistics_of_a_streamed_result_are_left_out(server: Any) -> None:
    assert "x-clickhouse-summary" not in server.post(f"{LONG} FORMAT Native").headers


def test_long_result_is_compressed(server: Any) -> None:
    plain = server.post(f"{LONG} FORMAT CSV").body

    streamed = server.post(f"{LONG} FORMAT CSV", headers={"Accept-Encoding": "gzip"})
    held_back = server.post(f"{LONG} FORMAT CSV", headers={"Accept-Encoding": "gzip"}, wait_end_of_query=1)
    refused = server.post("SELECT 1", headers={"Accept-Encoding": "gzip"}, enable_http_compression=0)

    assert gzip.decompress(streamed.body) == gzip.decompress(held_back.body) == plain
    assert "content-encoding" not in refused.headers


FAILING = "SELECT throwIf(number = 3000000, 'too far'), number FROM numbers(4000000)"


def test_error_after_the_first_rows_breaks_the_answer_and_says_why(server: Any) -> None:
    connection = server.connection()
    connection.request("POST", "/", FAILING, {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "secret"})
    response = connection.getresponse()
    received = b""

    try:
        while piece := response.read1(MEBIBYTE):
            received = (received + piece)[-2000:]
        complete = response.isclosed() and response.chunk_left == 0
    except http.client.IncompleteRead:
        complete = False
    connection.close()

    tag = response.headers["X-ClickHouse-Exception-Tag"]
    assert (response.status, complete) == (200, False)
    assert re.fullmatch("[a-z]{16}", tag)
    ending = received[received.index(b"__exception__") :].decode()
    match = re.fullmatch(rf"__exception__\r\n{tag}\r\n(Code: 395.*too far.*\n)(\d+) {tag}\r\n__exception__\r\n", ending)
    assert match is not None
    assert len(match[1]) == int(match[2])


def test_error_has_its_status_when_the_answer_is_held_back(server: Any) -> None:
    answer = server.post(FAILING, wait_end_of_query=1)

    assert (answer.status, answer.code) == (500, 395)


def running(server: Any, marker: str) -> int:
    sql = f"SELECT count() FROM system.processes WHERE query LIKE '%{marker}%' AND query NOT LIKE '%processes%'"
    return int(server.run(sql))


@pytest.mark.parametrize(
    ("sql", "marker"),
    [
        ("SELECT count() FROM numbers(1e12) WHERE sipHash64(number) = 4711", "4711"),
        ("SELECT number + 4712 FROM numbers(1e12) FORMAT Native", "4712"),
    ],
)
def test_query_is_cancelled_when_the_client_leaves(server: Any, sql: str, marker: str) -> None:
    connection = server.connection()
    connection.request("POST", "/", sql, {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "secret"})
    while not running(server, marker):
        time.sleep(0.02)

    connection.sock.close()
    connection.close()
    deadline = time.monotonic() + 5
    while running(server, marker) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert running(server, marker) == 0
