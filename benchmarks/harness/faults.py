"""What can happen to the processes of a stack: killed at random, frozen, or killed between two steps."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchmarks.harness.backlog import seconds_until_caught_up
from benchmarks.harness.dies_at_rename import able_to_die, die_at_next_rename
from benchmarks.harness.interposed import Interposed
from local_stack.ports import LOOPBACK
from local_stack.process import Process, Program
from local_stack.startup import IngestStack

FROZEN_SECONDS = 11.0
"""Longer than a flusher may be silent before the others take over what it holds."""
_RENAME_WITHIN_SECONDS = 30


@dataclass(slots=True)
class Faults:
    """Does things to a running stack and starts again what it killed."""

    running: IngestStack
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)

    def process(self, name: str) -> Process:
        """The process that has this name now."""
        return next(process for process in self.running.stack.processes if process.name == name)

    def kill(self, name: str, down_seconds: float = 0, program: Program | None = None) -> None:
        """Kill a process with -9 and after a while start it, or another program in its place."""
        process = self.process(name)
        process.kill()
        self.kills[name] += 1
        time.sleep(down_seconds)
        self.running.stack.replace(process, program)

    def kill_at_random(self, names: Sequence[str], between_seconds: tuple[float, float] = (0.3, 1.2)) -> None:
        """Kill one process for each of the names, in a random order and without waiting until the last one is back."""
        for name in self.chance.sample(names, len(names)):
            time.sleep(self.chance.uniform(*between_seconds))
            self.kill(name, self.chance.uniform(0, 0.4))
            self.running.stack.pulse()

    def freeze(self, name: str, seconds: float = FROZEN_SECONDS) -> None:
        """Stop a process for so long that it is taken for dead, then let it go on where it was."""
        pid = self.process(name).pid
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    def kill_after_insert(self, flusher: str, times: int) -> None:
        """Kill a flusher when ClickHouse has answered an insert of its and before it has read the answer."""
        program = self.process(flusher).program
        with Interposed(self.running.programs.settings.ports.clickhouse, request=b"INSERT") as clickhouse:
            behind = {**program.environment, "CLICKHOUSE_HOST": f"{LOOPBACK}:{clickhouse.port}"}
            self.kill(flusher, program=replace(program, environment=behind))
            for _ in range(times):
                clickhouse.on_next_answer(self.process(flusher).kill)
                self.kill(flusher)
        self.kill(flusher, program=program)

    def kill_at_rename(self, times: int) -> None:
        """Kill ClickHouse each time when it gives a new part its name, and let the flushers recover from it."""
        program = self.process("clickhouse").program
        self.kill("clickhouse", program=able_to_die(program))
        self.wait_healthy()
        for _ in range(times):
            gateway = self.process("clickhouse")
            die_at_next_rename(gateway.pid)
            gateway.wait_exit(_RENAME_WITHIN_SECONDS)
            self.kill("clickhouse")
            self.wait_healthy()
            seconds_until_caught_up(self.running)
        self.kill("clickhouse", program=program)

    def wait_healthy(self) -> None:
        """Wait until everything is up; raises ProcessFailed when a process ended by itself."""
        self.running.stack.wait_healthy(self.running.stack.processes)
