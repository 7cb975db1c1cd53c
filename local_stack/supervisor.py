"""One stack for one state directory: held, started, watched and stopped, in the foreground or the background."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_stack.config import PROJECT_ROOT, StackSettings, inherited_environment
from local_stack.credentials import load_or_create_credentials
from local_stack.process import ProcessFailed
from local_stack.processes import Programs
from local_stack.stack import Stack
from local_stack.state_directory import AlreadyRunning, Roster, RunningProcess, StateDirectory

DETACH_TIMEOUT_SECONDS = 240
STOP_TIMEOUT_SECONDS = 90
_POLL_SECONDS = 0.1


def programs_of(settings: StackSettings) -> Programs:
    """Return the programs of the stack with these settings; its passwords are made at the first call."""
    state = StateDirectory(settings.state_dir)
    return Programs(settings, state, load_or_create_credentials(state.credentials_file))


@contextmanager
def supervised(programs: Programs) -> Iterator[Stack]:
    """Hold the state directory, give an empty stack to fill, and stop everything at the end or on the first signal.

    Raises:
        AlreadyRunning: another supervisor holds it.
    """
    state = programs.state
    with state.held(), Stack(stop_requested(), lambda stack: state.write_roster(roster(stack))) as stack:
        yield stack


def mark_ready(stack: Stack, state: StateDirectory) -> None:
    """Record that everything is up."""
    state.write_roster(roster(stack, is_ready=True))


def roster(stack: Stack, *, is_ready: bool = False) -> Roster:
    """Return what `status` shows of a stack."""
    return Roster(
        is_ready,
        [
            RunningProcess(
                name=process.name,
                pid=process.pid,
                address=process.program.address,
                health_url=process.program.health_url,
                started_at=process.started_at,
            )
            for process in stack.processes
            if not process.program.is_task
        ],
    )


def stop_requested() -> threading.Event:
    """Return an event that Ctrl-C, SIGTERM and the end of the terminal set.

    Children have sessions of their own, so Ctrl-C reaches only this process, which then stops them in order.
    """
    requested = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: requested.set())
    return requested


def start_in_background(programs: Programs, *, with_dagster: bool = True) -> None:
    """Start a supervisor that outlives this command and wait until everything is up.

    Raises:
        AlreadyRunning: another supervisor holds the state directory.
        ProcessFailed: it ended or did not get ready; the message is what it said.
    """
    state = programs.state
    if holder := state.holder():
        raise AlreadyRunning.by(holder)
    log_path = state.log_path("stack")
    supervisor = _spawn_supervisor(programs.settings, log_path, with_dagster)
    deadline = time.monotonic() + DETACH_TIMEOUT_SECONDS
    while not (state.is_ready()):
        if supervisor.poll() is not None:
            raise ProcessFailed(log_path.read_text().strip() or f"The stack did not start; see {log_path}")
        if time.monotonic() > deadline:
            supervisor.terminate()
            raise ProcessFailed(f"The stack did not come up in {DETACH_TIMEOUT_SECONDS} s; see {log_path}")
        time.sleep(_POLL_SECONDS)


def stop_running(state: StateDirectory, pid: int) -> None:
    """Ask the supervisor with this process id to stop and wait until it has.

    Raises:
        ProcessFailed: it still runs after a long while.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while state.holder() == pid:
        if time.monotonic() > deadline:
            raise ProcessFailed(f"Process {pid} still runs after {STOP_TIMEOUT_SECONDS} s; see {state.logs}")
        time.sleep(_POLL_SECONDS)


def _spawn_supervisor(settings: StackSettings, log_path: Path, with_dagster: bool) -> subprocess.Popen[bytes]:
    log_path.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["--no-logs", "--state-dir", str(settings.state_dir), "--port-offset", str(settings.port_offset)]
    arguments.append("--dagster" if with_dagster else "--no-dagster")
    with log_path.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "local_stack", "up", *arguments],
            cwd=PROJECT_ROOT,
            env=inherited_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
