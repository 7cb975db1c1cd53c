import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.clickhouse_users import write_users_file
from local_stack.ports import free_port
from local_stack.processes import start_gateway
from warehouse.client import Client, StatementRefused, connect, warehouse_errors
from warehouse.config import WarehouseSettings


def login(port: int, user: str, password: str) -> Client:
    return connect(
        WarehouseSettings(clickhouse_host=f"127.0.0.1:{port}", clickhouse_username=user, clickhouse_password=password)
    )


@pytest.fixture(scope="module")
def bi_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    directory = tmp_path_factory.mktemp("users")
    write_users_file(directory / "users.xml", "owner-secret", "reader-secret", database="analytics")
    port = free_port()
    process = start_gateway(directory, port, directory / "users.xml")
    process.wait_healthy()
    owner = login(port, "default", "owner-secret")
    for database in ("analytics_marts", "analytics_raw"):
        owner.command(f"CREATE DATABASE {database}")
        owner.command(f"CREATE TABLE {database}.events ENGINE = MergeTree ORDER BY number AS SELECT 7 AS number")
    owner.close()
    reader = login(port, "bi_reader", "reader-secret")
    yield reader
    reader.close()
    process.stop()


def test_users_file_is_private_and_holds_no_password(tmp_path: Path) -> None:
    path = tmp_path / "users.xml"

    write_users_file(path, "owner-secret", "reader-secret")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "secret" not in path.read_text()


def test_bi_reader_reads_marts(bi_reader: Client) -> None:
    rows = bi_reader.query("SELECT number FROM analytics_marts.events").result_rows

    assert rows == [(7,)]


def test_queries_of_bi_reader_let_others_pass(bi_reader: Client) -> None:
    rows = bi_reader.query("SELECT getSetting('os_threads_nice_value_query')").result_rows

    assert rows == [(19,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM analytics_raw.events",
        "INSERT INTO analytics_marts.events VALUES (8)",
        "DROP TABLE analytics_marts.events",
        "CREATE TABLE analytics_marts.more (a Int8) ENGINE = Memory",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM file('users.xml', 'LineAsString')",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1 SETTINGS max_execution_time = 3600",
        "SELECT 1 SETTINGS os_threads_nice_value_query = 0",
        "SELECT number FROM numbers(2000000)",
    ],
)
def test_bi_reader_can_do_nothing_else(bi_reader: Client, statement: str) -> None:
    with pytest.raises(StatementRefused), warehouse_errors():
        bi_reader.query(statement)
