"""Kills what a supervisor started when the supervisor itself dies without a chance to clean up (kill -9, power key).

The supervisor holds the writing end of a pipe to this process. The kernel closes it however the supervisor ends,
which works alike on Linux and macOS; a parent-death signal would be Linux only and is lost when a thread forked.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable


class Leash:
    """Process groups that must not outlive this Python process."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._watcher: subprocess.Popen[bytes] | None = None

    def hold(self, group: int) -> None:
        """Kill the process group with this id when the calling process ends."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """Forget a group that was stopped: its number may soon belong to somebody else."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if self._watcher is None or self._watcher.poll() is not None:
            line = "".join(f"+{group}\n" for group in sorted(self._groups))
            # Isolated and without site packages: up in a few milliseconds. Its own session: Ctrl-C must not reach it.
            self._watcher = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            atexit.register(_let_go, self._watcher)
        if self._watcher.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watcher.stdin.write(line.encode())
                self._watcher.stdin.flush()


def _let_go(watcher: subprocess.Popen[bytes]) -> None:
    """At an orderly exit, see the watcher off instead of leaving it to the kernel."""
    with watcher:
        pass


def groups_left(lines: Iterable[str]) -> set[int]:
    """Return the groups held and not released in a supervisor's messages, read until it is gone."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main() -> None:
    """Wait for the supervisor's end, then kill every group that it left behind."""
    for group in groups_left(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
