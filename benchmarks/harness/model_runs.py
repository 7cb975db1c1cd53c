"""Runs of the models: by dbt alone, and by Dagster; and what they cost the engine and the processes that ask it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks.harness.usage import cpu_seconds, peak_memory_bytes
from local_stack.config import PROJECT_ROOT
from local_stack.process import Process
from local_stack.processes import console_script

JOB, STEP = "hot_marts_job", "models"
HOT = ("--select", "tag:hot", "--exclude", "tag:hourly", "tag:nightly")
"""What the job builds and checks, in words of dbt."""
_PLACES = ("--project-dir", "dbt", "--profiles-dir", "dbt")


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took."""

    seconds: float
    engine_seconds: float
    """CPU time of the engine."""
    client_seconds: float
    """CPU time of the process that asked the engine, and of its children."""
    engine_bytes: int
    """Most memory of the engine meanwhile."""
    client_bytes: int
    """Most memory of that process or the largest of its children."""


@dataclass(frozen=True, slots=True)
class ModelRuns:
    """Runs against one engine, whose processes get `environment`."""

    engine: Process
    environment: dict[str, str]

    def prepare(self) -> None:
        """Write Dagster's instance file and dbt's manifest, and load the seeds."""
        self._run([sys.executable, "-m", "dagster_project.prepare"])
        self.dbt("seed")

    def dbt(self, *arguments: str) -> Cost:
        """Run dbt as an analyst does."""
        # Tests of the models' code say nothing about data.
        excluded = ["--exclude-resource-type", "unit_test"] if arguments[0] == "build" else []
        return self._cost([console_script("dbt"), *arguments, *excluded, *_PLACES, "--quiet"])

    def dagster(self) -> tuple[Cost, float]:
        """Run the job as Dagster's daemon does, in a process of its own; also answer how long its step took."""
        script = console_script("dagster")
        cost = self._cost([script, "job", "execute", "-m", "dagster_project.definitions", "-j", JOB])
        with dg.DagsterInstance.from_config(self.environment["DAGSTER_HOME"]) as instance:
            [run] = instance.get_runs(limit=1)
            [step] = [one for one in instance.get_run_step_stats(run.run_id) if one.step_key == STEP]
        return cost, (step.end_time or 0) - (step.start_time or 0)

    def asking(self, ask: Callable[[], object]) -> Cost:
        """Measure what the engine does for a question of this process."""
        return self._measured(lambda: (ask(), (0.0, 0))[1])

    def _cost(self, command: list[str]) -> Cost:
        return self._measured(lambda: self._run(command))

    def _measured(self, run: Callable[[], tuple[float, int]]) -> Cost:
        # Sets the high-water mark of its memory back to what it has now.
        Path(f"/proc/{self.engine.pid}/clear_refs").write_text("5")
        used_before, started = cpu_seconds(self.engine.pid), time.perf_counter()
        client_seconds, client_bytes = run()
        return Cost(
            seconds=time.perf_counter() - started,
            engine_seconds=cpu_seconds(self.engine.pid) - used_before,
            client_seconds=client_seconds,
            engine_bytes=peak_memory_bytes(self.engine.pid),
            client_bytes=client_bytes,
        )

    def _run(self, command: list[str]) -> tuple[float, int]:
        """Run a command to its end: its CPU seconds and its peak of memory.

        Raises:
            RuntimeError: it failed.
        """
        log = Path(self.environment["DAGSTER_HOME"]) / "commands.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w+b") as output:
            process = subprocess.Popen(
                command, env=self.environment, cwd=PROJECT_ROOT, stdout=output, stderr=subprocess.STDOUT
            )
            _, status, usage = os.wait4(process.pid, 0)
        # It is gone, and the object should not wait for it again.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text()}")
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
