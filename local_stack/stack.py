"""A set of processes that live and die together."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from local_stack.process import POLL_SECONDS, Process, ProcessFailed, Program


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


class Stack(AbstractContextManager["Stack"]):
    """Starts programs in the order of the calls and stops them in reverse order when the `with` block is left."""

    def __init__(
        self, stop_requested: threading.Event | None = None, on_launch: Callable[["Stack"], None] = lambda _: None
    ) -> None:
        """`stop_requested` ends every wait; `on_launch` is called when further programs were started."""
        self.processes: list[Process] = []
        self._groups: list[list[Process]] = []
        self._stop_requested = stop_requested or threading.Event()
        self._on_launch = on_launch

    def launch(self, *programs: Program, stop_with_last: bool = False) -> list[Process]:
        """Start programs that need not wait for each other and return at once.

        They are asked to stop at the same time, with `stop_with_last` also with those of the call before.
        """
        started: list[Process] = []
        if not (stop_with_last and self._groups):
            self._groups.append([])
        for program in programs:
            started.append(Process(program))
            self._groups[-1].append(started[-1])
            self.processes.append(started[-1])
        self._on_launch(self)
        return started

    def start(self, *programs: Program, stop_with_last: bool = False) -> list[Process]:
        """Launch programs and wait until all of them are healthy.

        Raises:
            ProcessFailed: one of them, or a process started earlier, ended or did not get ready.
            StopRequested: the user does not want to wait any longer.
        """
        started = self.launch(*programs, stop_with_last=stop_with_last)
        self.wait_healthy(started)
        return started

    def replace(self, process: Process, program: Program | None = None) -> Process:
        """Start a process that ended anew, or another program in its place, without waiting until it is healthy."""
        fresh = Process(program or process.program)
        for places in (self.processes, *self._groups):
            places[:] = [fresh if one is process else one for one in places]
        return fresh

    def wait_healthy(self, processes: Sequence[Process]) -> None:
        """Wait for processes that were launched; the same errors as `start`."""
        for process in processes:
            deadline = process.started_at + process.program.start_timeout_seconds
            while not process.is_healthy():
                self.pulse()
                if time.time() > deadline:
                    limit = process.program.start_timeout_seconds
                    raise ProcessFailed(
                        f"{process.name} did not get ready in {limit:.0f} s; its log is {process.log_path}"
                    )
                time.sleep(POLL_SECONDS)

    def finish(self, task: Process) -> None:
        """Wait for a launched task to end.

        Raises:
            ProcessFailed: it ended with another code than 0 or takes longer than its start timeout.
            StopRequested: the user does not want to wait any longer.
        """
        deadline = task.started_at + task.program.start_timeout_seconds
        while task.running:
            self.pulse()
            if time.time() > deadline:
                raise ProcessFailed(f"{task.name} still runs after {task.program.start_timeout_seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        self.pulse()

    def pulse(self) -> None:
        """Look once whether to go on.

        Raises:
            ProcessFailed: a process ended that should be serving.
            StopRequested: the user asked to stop.
        """
        if self._stop_requested.is_set():
            raise StopRequested
        for process in self.processes:
            if not process.running and not (process.program.is_task and process.exit_code == 0):
                raise ProcessFailed(process.describe_end())

    def serve(self, each_turn: Callable[[], None] = lambda: None) -> None:
        """Stay until somebody asks to stop; `each_turn` is called several times a second.

        Raises:
            ProcessFailed: a process ended.
        """
        with contextlib.suppress(StopRequested):
            while True:
                each_turn()
                self.pulse()
                time.sleep(4 * POLL_SECONDS)

    def stop(self) -> None:
        """Stop everything in reverse order: a client is gone before the server that it talks to."""
        while self._groups:
            group = self._groups.pop()
            for process in reversed(group):
                process.terminate()
            for process in reversed(group):
                process.stop()
        self.processes.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
