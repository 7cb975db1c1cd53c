"""What processes use: CPU seconds and memory, read from /proc (Linux)."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local_stack.process import Process

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, with its threads."""
    # The name in brackets may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def peak_memory_bytes(pid: int) -> int:
    """Most memory that a process has had resident since it was started."""
    return _memory_bytes(pid, "VmHWM")


def memory_bytes(pid: int) -> int:
    """Memory that a process has resident now."""
    return _memory_bytes(pid, "VmRSS")


def _memory_bytes(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@dataclass(slots=True)
class CpuUse:
    """CPU seconds by process, filled when the block of `cpu_used` is left."""

    seconds: dict[str, float] = field(default_factory=dict)

    def per_event(self, events: int) -> str:
        """Microseconds for each event, as text."""
        return ", ".join(f"{name} {seconds * 1e6 / events:.1f}" for name, seconds in self.seconds.items())


@contextmanager
def cpu_used(processes: Iterable[Process]) -> Iterator[CpuUse]:
    """Measure what processes, and this one as `client`, use while the block runs."""
    pids = {"client": os.getpid(), **{process.name: process.pid for process in processes}}
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    used = CpuUse()
    yield used
    used.seconds.update({name: cpu_seconds(pid) - before[name] for name, pid in pids.items()})


def memory_text(bytes_by_name: Mapping[str, int]) -> str:
    """Mebibytes by name, as text."""
    return ", ".join(f"{name} {used / 1024 / 1024:,.0f} MiB" for name, used in bytes_by_name.items())
