"""The life of the engine: one process, clean stops, and kill -9."""

import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_gateway_cleanly(start_server: Any, number: int) -> None:
    server = start_server()
    server.run("CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.run, "INSERT INTO t SELECT sleep(1)")
        time.sleep(0.4)

        exit_code = server.stop(number)

        assert running.result() == ""
    assert exit_code == 0
    assert server.start().run("SELECT count() FROM t") == "1\n"


def test_stop_cancels_a_query_that_takes_too_long(start_server: Any) -> None:
    server = start_server("--stop-seconds", "1")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.post, "SELECT count() FROM numbers(1e12) WHERE sipHash64(number) = 1")
        time.sleep(0.4)
        started = time.monotonic()

        exit_code = server.stop()

    assert exit_code == 0
    assert time.monotonic() - started < 6
    assert server.start().run("SELECT 1") == "1\n"


def test_second_process_is_told_in_one_sentence(server: Any) -> None:
    second = subprocess.run([*server.arguments[:-1], "0"], capture_output=True, text=True, timeout=60, check=False)

    assert second.returncode == 1
    assert second.stderr == (
        f"The data directory {server.directory / 'data'} is in use by process {server.process.pid}.\n"
    )


def test_bad_users_file_is_told_in_one_sentence(server: Any, tmp_path: Any) -> None:
    (tmp_path / "users.xml").write_text("<clickhouse/>")
    places = ["--data-dir", str(tmp_path / "data"), "--users", str(tmp_path / "users.xml"), "--port", "0"]

    refused = subprocess.run([*server.arguments[:3], *places], capture_output=True, text=True, timeout=60, check=False)

    assert refused.returncode == 1
    assert refused.stderr == f"{tmp_path / 'users.xml'}: <profiles> has no <default>\n"


def test_acknowledged_rows_survive_kill_9(start_server: Any) -> None:
    server = start_server()
    server.run("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
    for _ in range(3):
        acknowledged: set[int] = {int(a) for a in server.run("SELECT a FROM t").split()}
        writers = [threading.Thread(target=insert_until_dead, args=(server, start, acknowledged)) for start in (0, 1)]
        for writer in writers:
            writer.start()
        time.sleep(1)

        server.stop(signal.SIGKILL)
        for writer in writers:
            writer.join()
        started = time.monotonic()
        server.start()
        restart_seconds = time.monotonic() - started

        stored = [int(a) for a in server.run("SELECT a FROM t").split()]
        assert len(acknowledged) > 10
        assert acknowledged <= set(stored)
        assert len(stored) == len(set(stored))
        # 1 to 2 s on a quiet machine; the bound allows for a busy one.
        assert restart_seconds < 15


def insert_until_dead(server: Any, start: int, acknowledged: set[int]) -> None:
    number = max(acknowledged, default=0) + 100 + start
    while True:
        number += 2
        try:
            if server.post(f"INSERT INTO t VALUES ({number})").status != 200:
                return
        except OSError:
            return
        except Exception:  # the answer broke off
            return
        acknowledged.add(number)


def test_all_queries_of_the_gateway_are_bounded(start_server: Any) -> None:
    server = start_server("--max-concurrent-queries", "2", "--max-sessions", "1")
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(server.run, "SELECT sleep(2)") for _ in range(2)]
        time.sleep(0.5)

        refused = server.post("SELECT 1")

        assert [future.result() for future in running] == ["0\n", "0\n"]
    assert (refused.status, refused.code) == (500, 202)
    assert server.post("SELECT 1", session_id="a").status == 200
    assert server.post("SELECT 1", session_id="b").code == 202


def test_inserts_are_synced_to_disk(server: Any) -> None:
    sql = "SELECT name, value FROM system.merge_tree_settings WHERE name LIKE 'fsync%' AND value = '1'"

    assert server.run(sql) == "fsync_after_insert\t1\nfsync_part_directory\t1\n"
