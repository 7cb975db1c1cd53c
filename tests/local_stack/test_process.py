import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack.config import PROJECT_ROOT, inherited_environment
from local_stack.health import is_alive
from local_stack.ports import free_port
from local_stack.process import Process, ProcessFailed, Program

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
WITH_GRANDCHILD = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print(child.pid, flush=True)
time.sleep(60)
"""


def program(tmp_path: Path, code: str, **more: float | str) -> Program:
    return Program(
        name="example",
        command=[sys.executable, "-c", code],
        environment=inherited_environment(),
        log_path=tmp_path / "example.log",
        directory=tmp_path,
        **more,  # type: ignore[arg-type]
    )


def eventually(condition: Callable[[], object], timeout_seconds: float = 10) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_process_says_why_it_ended_when_it_should_become_healthy(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/"

    with pytest.raises(ProcessFailed) as failure:
        Process(program(tmp_path, "import sys; sys.exit('no licence')", health_url=url)).wait_healthy()

    assert "example ended with exit code 1" in str(failure.value)
    assert "no licence" in str(failure.value)


def test_process_gives_up_waiting_when_it_never_answers(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    process = Process(program(tmp_path, STUBBORN, health_url=url))

    with pytest.raises(ProcessFailed, match="did not get ready in 0 s"):
        process.wait_healthy(timeout_seconds=0.2)

    process.kill()


def test_process_names_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    missing = Program("ghost", [str(tmp_path / "ghost")], {}, tmp_path / "ghost.log", tmp_path)

    with pytest.raises(ProcessFailed, match="ghost cannot be started: No such file"):
        Process(missing)


def test_stop_kills_a_process_that_ignores_the_request(tmp_path: Path) -> None:
    process = Process(program(tmp_path, STUBBORN, stop_timeout_seconds=0.2))
    assert eventually(lambda: "up" in process.log_path.read_text())

    process.stop()

    assert process.exit_code == -signal.SIGKILL


def test_stop_leaves_no_grandchild(tmp_path: Path) -> None:
    process = Process(program(tmp_path, WITH_GRANDCHILD, stop_timeout_seconds=0.5))
    assert eventually(lambda: "up" in process.log_path.read_text())
    grandchild = int(process.log_path.read_text().split()[0])

    process.stop()

    assert eventually(lambda: not runs(grandchild))


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import pathlib, time
from local_stack.process import Process, Program
directory = pathlib.Path({str(tmp_path)!r})
child = Process(Program("child", [{sys.executable!r}, "-c", {STUBBORN!r}], {{}}, directory / "child.log", directory))
print(child.pid, flush=True)
time.sleep(60)
"""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, env=inherited_environment()
    )
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    assert runs(child)

    supervisor.kill()
    supervisor.communicate()

    assert eventually(lambda: not runs(child))


def test_wait_exit_returns_the_exit_code(tmp_path: Path) -> None:
    process = Process(program(tmp_path, "raise SystemExit(7)"))

    code = process.wait_exit(timeout_seconds=10)

    assert code == 7


def test_log_is_put_aside_when_it_has_grown_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_stack.process.LOG_BYTES_KEPT", 10)
    (tmp_path / "example.log").write_text("a line of an earlier start\n")

    Process(program(tmp_path, "print('new')")).wait_exit(timeout_seconds=10)

    assert (tmp_path / "example.log").read_text() == "new\n"
    assert (tmp_path / "example.old.log").read_text() == "a line of an earlier start\n"


def runs(pid: int) -> bool:
    """Whether it runs: a killed orphan may stay in the table of processes until somebody collects it."""
    if not is_alive(pid):
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def test_own_process_is_alive_and_an_impossible_one_is_not() -> None:
    impossible = 2**22 + 1

    assert is_alive(os.getpid())
    assert not is_alive(impossible)
