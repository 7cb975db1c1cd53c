import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from local_stack.config import inherited_environment
from local_stack.process import ProcessFailed, Program
from local_stack.stack import Stack, StopRequested

SERVE = """
import pathlib, signal, sys, time
def stop(*_):
    with open("stopped", "a") as file:
        file.write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def server(tmp_path: Path, name: str) -> Program:
    command = [sys.executable, "-c", SERVE, name]
    return Program(name, command, inherited_environment(), tmp_path / f"{name}.log", tmp_path)


def task(tmp_path: Path, code: str, timeout_seconds: float = 30) -> Program:
    command = [sys.executable, "-c", code]
    log_path = tmp_path / "task.log"
    return Program(
        "task",
        command,
        inherited_environment(),
        log_path,
        tmp_path,
        start_timeout_seconds=timeout_seconds,
        is_task=True,
    )


def wait_for(*paths: Path) -> None:
    deadline = time.monotonic() + 10
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stack_stops_in_reverse_order(tmp_path: Path) -> None:
    names = ["first", "second", "third"]

    with Stack() as stack:
        for name in names:
            stack.start(server(tmp_path, name))
        wait_for(*(tmp_path / name for name in names))

    assert (tmp_path / "stopped").read_text().split() == ["third", "second", "first"]


def test_stack_notices_a_killed_process(tmp_path: Path) -> None:
    with Stack() as stack:
        first, second = stack.start(server(tmp_path, "first"), server(tmp_path, "second"))
        os.kill(first.pid, signal.SIGKILL)

        with pytest.raises(ProcessFailed, match="first was killed by SIGKILL"):
            stack.serve()

    assert not second.running


def test_stack_ends_every_wait_when_a_stop_is_requested(tmp_path: Path) -> None:
    requested = threading.Event()

    with Stack(requested) as stack:
        (waiting,) = stack.launch(task(tmp_path, "import time; time.sleep(60)"))
        requested.set()

        with pytest.raises(StopRequested):
            stack.finish(waiting)
        stack.serve()

    assert not waiting.running


def test_stack_goes_on_when_a_task_has_ended_well(tmp_path: Path) -> None:
    with Stack() as stack:
        (ending,) = stack.launch(task(tmp_path, "print('done')"))

        stack.finish(ending)
        stack.pulse()

    assert ending.exit_code == 0


def test_stack_fails_with_a_task(tmp_path: Path) -> None:
    with Stack() as stack:
        (failing,) = stack.launch(task(tmp_path, "raise SystemExit('the manifest is broken')"))

        with pytest.raises(ProcessFailed, match="the manifest is broken"):
            stack.finish(failing)


def test_stack_fails_when_a_task_takes_too_long(tmp_path: Path) -> None:
    with Stack() as stack:
        (slow,) = stack.launch(task(tmp_path, "import time; time.sleep(60)", timeout_seconds=0.2))

        with pytest.raises(ProcessFailed, match="task still runs after 0 s"):
            stack.finish(slow)


def test_a_replaced_process_is_stopped_with_the_others(tmp_path: Path) -> None:
    with Stack() as stack:
        killed, _ = stack.start(server(tmp_path, "first"), server(tmp_path, "second"))
        wait_for(tmp_path / "first", tmp_path / "second")
        killed.kill()
        (tmp_path / "first").unlink()

        fresh = stack.replace(killed)

        wait_for(tmp_path / "first")
        assert stack.processes[0] is fresh

    assert sorted((tmp_path / "stopped").read_text().split()) == ["first", "second"]
