"""A ClickHouse gateway that can be killed at the one moment that random kills do not hit: the rename of a new part.

By then the part's deduplication token is remembered, and the rows have no name yet under which a restart would find
them. `start_gateway_that_can_die` starts a gateway as `start_gateway` does; after `die_at_next_rename` the kernel kills
it, with no chance to do anything, when it next asks for a rename. Linux only, on x86-64 and ARM64.

As a program it is the gateway itself: `python -m benchmarks.harness.dies_at_rename` and the gateway's arguments.
"""

import ctypes
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from local_stack.config import inherited_environment
from local_stack.process import Process, Program
from local_stack.processes import gateway_program

# The engine uses SIGUSR1 and SIGUSR2 for its profiler.
_ARM = signal.SIGRTMIN + 1

_SET_NO_NEW_PRIVILEGES = 38
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_OFFSET = 0
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000
# Numbers of the system calls seccomp, and rename, renameat, renameat2 (ARM64 has no rename).
_SYSTEM_CALLS = {"x86_64": (317, (82, 264, 316)), "aarch64": (277, (38, 276))}


def start_gateway_that_can_die(directory: Path, port: int, users_file: Path) -> Process:
    """Start it with its data and its log below `directory`, where a plain gateway finds them later."""
    program = gateway_program(
        directory / "data", port, users_file, directory / "clickhouse.log", inherited_environment()
    )
    return Process(able_to_die(program))


def able_to_die(gateway: Program) -> Program:
    """The same gateway as a program that `die_at_next_rename` works on."""
    return replace(gateway, command=[sys.executable, "-m", __spec__.name, *gateway.command[3:]])


def die_at_next_rename(pid: int) -> None:
    """Return when the gateway with this process id is bound to die so; its exit code will be minus SIGSYS."""
    os.kill(pid, _ARM)
    status = Path(f"/proc/{pid}/status")
    deadline = time.monotonic() + 10
    while "Seccomp:\t2" not in status.read_text():
        if time.monotonic() > deadline:
            raise TimeoutError("the filter was not installed")
        time.sleep(0.01)


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_not", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    )


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def _kill_at_rename() -> None:
    """Have the kernel end this process when any of its threads asks for a rename."""
    seccomp, renames = _SYSTEM_CALLS[platform.machine()]
    program = [
        _Instruction(_LOAD_WORD, 0, 0, _NUMBER_OFFSET),
        *(_Instruction(_JUMP_IF_EQUAL, len(renames) - place, 0, call) for place, call in enumerate(renames)),
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, _KILL_PROCESS),
    ]
    instructions = (_Instruction * len(program))(*program)
    libc = ctypes.CDLL(None, use_errno=True)
    # Without the right to gain privileges no privilege is needed to install a filter.
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(
        seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(_Filter(len(program), instructions))
    ):
        raise OSError(ctypes.get_errno(), "the filter was refused")


def _wait_and_arm() -> None:
    signal.sigwait({_ARM})
    _kill_at_rename()


def main(arguments: Sequence[str]) -> int:
    """Serve as the gateway does."""
    # Blocked in every thread that comes later, so that the signal waits for the one that asks for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {_ARM})
    threading.Thread(target=_wait_and_arm, daemon=True).start()
    from local_stack.clickhouse_gateway.__main__ import main as serve

    return serve(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
