"""Posting known events while something happens to the processes, and the reckoning afterwards."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.harness.faults import Faults
from benchmarks.harness.load import Load, posting
from benchmarks.harness.raw_table import Reckoning, raw_table, reckon
from benchmarks.harness.tracking import Sender
from local_stack.event_stream import wait_until_drained
from local_stack.startup import IngestStack, ingest_stack
from local_stack.valkey_server import valkey_url

SECOND_FLUSHER = "flusher-2"
PROCESSES = ("api", "flusher", SECOND_FLUSHER, "valkey", "clickhouse")
_CONNECTIONS = 8
_BATCH = 50
_POLL_SECONDS = 0.05
_DRAIN_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one kind of fault."""

    reckoning: Reckoning
    refused: list[str]
    """Answers other than 202 and "try again later"; there should be none."""
    resent: dict[str, int]
    kills: dict[str, int]
    repairs: int
    """How often a flusher found a token used up for nothing, and stored the rows under another."""
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What breaks a promise of the service; empty when all is well."""
        refused = [f"{len(self.refused)} requests were refused: {self.refused[0]}"] if self.refused else []
        return [*self.reckoning.problems, *refused]

    def lines(self) -> list[str]:
        """The figures as text."""
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        resent = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.resent.items()))
        return [
            f"{self.seconds:.0f} s; kill -9: {kills or 'none'}; requests sent again: {resent or 'none'}; "
            f"tokens used up for nothing: {self.repairs}",
            *self.reckoning.lines(),
            *(f"FAILED: {problem}" for problem in self.problems),
        ]


@contextmanager
def stack_with_two_flushers(directory: Path) -> Iterator[IngestStack]:
    """Run a stack whose two flushers share the work."""
    with ingest_stack(directory) as running:
        programs = running.programs
        log_path = programs.state.log_path(SECOND_FLUSHER)
        running.stack.launch(replace(programs.flusher(), name=SECOND_FLUSHER, log_path=log_path), stop_with_last=True)
        yield running


def trial(
    running: IngestStack,
    name: str,
    inflict: Callable[[Faults], None],
    *,
    events: int = 0,
    events_per_second: float = 5000,
    lost_share: float = 0,
    seed: int = 7,
) -> Trial:
    """Post while `inflict` does its work, and until `events` are acknowledged; then drain and reckon.

    Raises:
        ProcessFailed: a process ended by itself, or events were left in the stream.
    """
    faults = Faults(running, random.Random(seed))  # noqa: S311 - repeatable
    settings, credentials = running.programs.settings, running.programs.credentials
    requests = Sender(name, running.access.write_key).batches(2**31, _BATCH)
    load = Load(
        settings.ports.api,
        requests,
        connections=_CONNECTIONS,
        events_per_second=events_per_second,
        lost_share=lost_share,
        chance=faults.chance,
    )
    with raw_table(running.programs) as table:
        table.clear()
    repairs_before = _repairs(running)
    started = time.monotonic()
    with posting(load):
        inflict(faults)
        faults.wait_healthy()
        while load.acknowledged_events < events:
            running.stack.pulse()
            time.sleep(_POLL_SECONDS)
    seconds = time.monotonic() - started
    url = valkey_url(settings.ports.valkey, credentials.valkey_password)
    wait_until_drained(url, settings.database, running.stack.pulse, _DRAIN_SECONDS)
    with raw_table(running.programs) as table:
        reckoning = reckon(table, load.acknowledged, load.sent_events)
    repairs = _repairs(running) - repairs_before
    return Trial(reckoning, load.refused, dict(load.resent), dict(faults.kills), repairs, seconds)


def _repairs(running: IngestStack) -> int:
    logs = running.programs.state.logs.glob("flusher*.log")
    return sum(log.read_text(encoding="utf-8").count("token_was_used_up") for log in logs)
