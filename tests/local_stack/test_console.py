import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from local_stack.config import inherited_environment
from local_stack.console import LogFollower, status_table, uptime
from local_stack.ports import free_port
from local_stack.process import Process, Program
from local_stack.state_directory import RunningProcess


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (41.9, "41 s"), (61, "1 min 01 s"), (7_500, "2 h 05 min"), (90_000, "25 h 00 min")],
)
def test_uptime_is_written_for_people(seconds: float, text: str) -> None:
    written = uptime(seconds)

    assert written == text


def test_status_tells_the_dead_from_the_silent(capsys: pytest.CaptureFixture[str]) -> None:
    silent = f"http://127.0.0.1:{free_port()}"
    own_pid = os.getpid()
    processes = [
        RunningProcess("api", own_pid, silent, silent, 0.0),
        RunningProcess("flusher", own_pid, "", "", 0.0),
        RunningProcess("valkey", 2**22 + 1, "redis://127.0.0.1:6379", "redis://127.0.0.1:6379", 0.0),
    ]

    Console(width=120).print(status_table(processes, now=61.0))

    api, flusher, valkey = (line for line in capsys.readouterr().out.splitlines() if "1 min" in line)
    assert "running" in api
    assert "no answer" in api
    assert "alive" in flusher
    assert "stopped" in valkey


def test_log_lines_come_behind_the_name_of_their_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_path = tmp_path / "api.log"
    log_path.write_text("a line of an earlier start\n")
    code = "print('[one] line'); print('half', end='')"
    process = Process(Program("api", [sys.executable, "-c", code], inherited_environment(), log_path, tmp_path))
    process.wait_exit(timeout_seconds=10)
    follower = LogFollower(Console())

    follower.follow([process])
    follower.print_new_lines()
    follower.close()

    assert capsys.readouterr().out == "api            | [one] line\n"
