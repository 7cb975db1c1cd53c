"""One child process: started in a group of its own, asked for its health, stopped together with its grandchildren."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local_stack.health import answers
from local_stack.leash import Leash

POLL_SECONDS = 0.05
LOG_BYTES_KEPT = 20_000_000
LINES_SHOWN = 8

_leash = Leash()


class ProcessFailed(RuntimeError):
    """A process ended, or did not get ready, when it should have been serving; the message is meant for people."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to see that it is ready.

    `address` is what people may open or connect to. `health_url` is what `health.answers` asks; a program
    without one counts as healthy while it runs.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    directory: Path
    address: str = ""
    health_url: str = ""
    start_timeout_seconds: float = 30.0
    stop_timeout_seconds: float = 10.0
    is_task: bool = False
    """It ends by itself, with exit code 0 when all went well."""


class Process:
    """A running program."""

    def __init__(self, program: Program) -> None:
        """Start it.

        Raises:
            ProcessFailed: the program's file does not exist or is not for this machine.
        """
        self.program = program
        self.started_at = time.time()
        with _open_log(program.log_path) as log:
            self.log_offset = log.tell()
            try:
                self._child = subprocess.Popen(
                    list(program.command),
                    cwd=program.directory,
                    env=dict(program.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessFailed(f"{program.name} cannot be started: {error.strerror}: {error.filename}") from error
        _leash.hold(self.pid)

    @property
    def name(self) -> str:
        """Name in logs and tables."""
        return self.program.name

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._child.pid

    @property
    def log_path(self) -> Path:
        """File that its output is appended to."""
        return self.program.log_path

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._child.poll()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.exit_code is None

    def is_healthy(self) -> bool:
        """Ask once."""
        return self.running and (not self.program.health_url or answers(self.program.health_url))

    def wait_healthy(self, timeout_seconds: float | None = None) -> None:
        """Wait until it answers, by default for the program's own start timeout.

        Raises:
            ProcessFailed: it ended, or did not answer in time.
        """
        limit = self.program.start_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + limit
        while not self.is_healthy():
            if not self.running:
                raise ProcessFailed(self.describe_end())
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} did not get ready in {limit:.0f} s; its log is {self.log_path}")
            time.sleep(POLL_SECONDS)

    def wait_exit(self, timeout_seconds: float) -> int:
        """Wait for it to end by itself and return its exit code.

        Raises:
            ProcessFailed: it still runs after the timeout.
        """
        try:
            code = self._child.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise ProcessFailed(f"{self.name} still runs after {timeout_seconds:.0f} s") from error
        self._kill_group()
        return code

    def terminate(self) -> None:
        """Ask the process and its children to finish, without waiting."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to finish, wait for the program's stop timeout, then kill whatever of its group is left."""
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(self.program.stop_timeout_seconds)
        self._kill_group()

    def kill(self) -> None:
        """End it and its children at once, as `kill -9` would."""
        self._kill_group()

    def describe_end(self) -> str:
        """Return a sentence on how it ended with the last lines that it wrote."""
        code = self.exit_code or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        with self.log_path.open(errors="replace") as log:
            log.seek(self.log_offset)
            lines = log.read().splitlines()[-LINES_SHOWN:]
        return "\n".join([f"{self.name} {how}; its log is {self.log_path}", *(f"    {line}" for line in lines)])

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()
        _leash.release(self.pid)


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES_KEPT:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")
