"""Events per second from a request to rows visible in ClickHouse, as a ratio to bare inserts of the same rows.

Baseline: the lines of JSON that the API itself writes for these events, in sequential inserts of 10,000 rows over HTTP
into a table like `raw.events` of the same engine. For single events it is a route of the same server that
authenticates, reads the body and answers. All are measured in turn, round after round, in one run; a ratio is the
median of those of the rounds.

Run: python -m benchmarks.ingest [--events 400000] [--singles 30000] [--rounds 3]
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.harness.bare_engine import BARE_ROWS, BareEngine, lines_of
from benchmarks.harness.empty_route import EVENT_PATH
from benchmarks.harness.full_load import seconds_to_answers, seconds_to_visible
from benchmarks.harness.heavy_queries import READERS, heavy_queries, make_visits
from benchmarks.harness.raw_table import raw_table
from benchmarks.harness.tracking import Request, Sender
from benchmarks.harness.usage import cpu_used, memory_text, peak_memory_bytes
from local_stack.config import PROJECT_ROOT
from local_stack.ports import LOOPBACK, free_port
from local_stack.process import Program
from local_stack.startup import IngestStack, ingest_stack

ONE, FEW, MANY = 1, 4, 64
"""Connections."""
BARE = f"bare inserts of {BARE_ROWS:,} rows"
THOUSANDS, HUNDREDS = "batches of 1000", "batches of 100"
HUNDREDS_IN_TURN, SINGLES_IN_TURN = f"{HUNDREDS}, {ONE} connection", f"single events, {ONE} connection"
SINGLES, MANY_SINGLES = f"single events, {FEW} connections", f"single events, {MANY} connections"
STORED_SINGLES = f"{MANY_SINGLES}, on disk in the stream"
EMPTY = f"empty route, {MANY} connections"
# What is compared by itself, and not by what ClickHouse makes of it, takes turns of half a second: whatever slows the
# machine for longer then slows both.
_SHORT_TURNS = 3
BARE_BESIDE, THOUSANDS_BESIDE = (f"{name} under {READERS} heavy queries" for name in (BARE, THOUSANDS))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result: what is compared with what, and what it should reach."""

    name: str
    baseline: str
    target: str = ""
    is_inverse: bool = False
    """Whether the ratio is that of the baseline to this."""


ROWS = (
    Row(BARE, BARE),
    Row(THOUSANDS, BARE, "0.45 (stretch 0.60)"),
    Row(HUNDREDS, BARE, "0.45 (stretch 0.60)"),
    Row(HUNDREDS_IN_TURN, HUNDREDS_IN_TURN),
    Row(SINGLES_IN_TURN, HUNDREDS_IN_TURN, "20: batches of 100 against single events", is_inverse=True),
    Row(SINGLES, HUNDREDS, "the same, while the requests of several clients share an append", is_inverse=True),
    Row(EMPTY, EMPTY),
    Row(STORED_SINGLES, EMPTY, "0.70 (stretch 0.90)"),
    Row(MANY_SINGLES, EMPTY, "the same, while flusher and ClickHouse share the cores"),
    Row(BARE_BESIDE, BARE, "0.35 (stretch 0.50)"),
    Row(THOUSANDS_BESIDE, THOUSANDS),
)


class Measurements:
    """Events per second, by name, and the CPU time of the latest measurement of each."""

    def __init__(self, running: IngestStack) -> None:
        self._running = running
        self.rates: dict[str, list[float]] = defaultdict(list)
        self.cpu: dict[str, str] = {}

    def add(self, name: str, events: int, measure: Callable[[], float]) -> None:
        """Take the rate of so many events from a function that answers seconds."""
        with cpu_used(self._running.stack.processes) as used:
            seconds = measure()
        self.rates[name].append(events / seconds)
        self.cpu[name] = used.per_event(events)

    def lines(self) -> Iterator[str]:
        """The result as text."""
        for row in ROWS:
            pairs = zip(self.rates[row.name], self.rates[row.baseline], strict=True)
            ratio = statistics.median(one / baseline for one, baseline in pairs)
            compared = f"{1 / ratio if row.is_inverse else ratio:6.2f} x {row.baseline}" if row.target else ""
            target = f"target {row.target}" if row.target else ""
            rate = statistics.median(self.rates[row.name])
            yield f"{row.name:47} {rate:9,.0f} events/s {compared:40} {target}".rstrip()
        yield "CPU microseconds an event:"
        for name, text in self.cpu.items():
            yield f"  {name:45} {text}"


@contextmanager
def second_api(running: IngestStack) -> Iterator[int]:
    """Serve the API with the empty route and give its port."""
    programs, port = running.programs, free_port()
    address = f"http://{LOOPBACK}:{port}"
    running.stack.start(
        Program(
            name="second api",
            command=[sys.executable, "-m", "benchmarks.harness.empty_route"],
            environment={**programs.environment, "PORT": str(port)},
            log_path=programs.state.log_path("second-api"),
            directory=PROJECT_ROOT,
            health_url=f"{address}/health/live",
        )
    )
    yield port


@contextmanager
def resting_flusher(running: IngestStack) -> Iterator[None]:
    """Leave in the stream what comes meanwhile."""
    flusher = next(process for process in running.stack.processes if process.name == "flusher")
    os.kill(flusher.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(flusher.pid, signal.SIGCONT)


def captured(running: IngestStack, requests: list[Request]) -> BareEngine:
    """The baseline of these requests. The flusher that runs afterwards waits less for the last rows of a round."""
    flusher = next(process for process in running.stack.processes if process.name == "flusher")
    flusher.stop()
    bare = BareEngine.of_lines(running, lines_of(running, requests))
    program = flusher.program
    # At full load only the size of a batch counts; the interval is for the few rows that come last.
    hurried = {**program.environment, "ANALYTICS_FLUSH_INTERVAL": "500"}
    running.stack.replace(flusher, replace(program, environment=hurried))
    return bare


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000, help="of a round in batches")
    parser.add_argument("--singles", type=int, default=30_000, help="of a round in single requests")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    events, singles = options.events, options.singles
    with (
        tempfile.TemporaryDirectory(prefix="analytics-ingest-") as directory,
        ingest_stack(Path(directory)) as running,
        second_api(running) as port,
        raw_table(running.programs) as table,
    ):
        sender = Sender("ingest", running.access.write_key)
        thousands, hundreds = list(sender.batches(events, 1000)), list(sender.batches(events, 100))
        ones = list(sender.singles(singles))
        few = ones[: singles // _SHORT_TURNS]
        for_nothing = list(sender.singles(len(few), path=EVENT_PATH))
        bare = captured(running, thousands)
        measured = Measurements(running)
        for _ in range(options.rounds):
            measured.add(BARE, events, bare.insert)
            measured.add(THOUSANDS, events, lambda: seconds_to_visible(running, table, thousands, FEW))
            measured.add(HUNDREDS, events, lambda: seconds_to_visible(running, table, hundreds, FEW))
            measured.add(
                HUNDREDS_IN_TURN,
                events // 4,
                lambda: seconds_to_visible(running, table, hundreds[: len(hundreds) // 4], ONE),
            )
            measured.add(
                SINGLES_IN_TURN, singles // 10, lambda: seconds_to_visible(running, table, ones[: singles // 10], ONE)
            )
            measured.add(SINGLES, singles, lambda: seconds_to_visible(running, table, ones, FEW))
            table.clear()
            for turn in range(_SHORT_TURNS):
                measured.add(EMPTY, len(few), lambda: seconds_to_answers(port, for_nothing, MANY))
                measured.add(MANY_SINGLES, len(few), lambda: seconds_to_answers(port, few, MANY))
                table.seconds_until_rows((2 * turn + 1) * len(few))
                with resting_flusher(running):
                    measured.add(STORED_SINGLES, len(few), lambda: seconds_to_answers(port, few, MANY))
                table.seconds_until_rows((2 * turn + 2) * len(few))
        make_visits(running)
        with heavy_queries(running) as heavy:
            for _ in range(options.rounds):
                measured.add(BARE_BESIDE, events, bare.insert)
                measured.add(THOUSANDS_BESIDE, events, lambda: seconds_to_visible(running, table, thousands, FEW))
        memory = {process.name: peak_memory_bytes(process.pid) for process in running.stack.processes}
    print(
        f"{events:,} events a round in batches, {singles:,} single; {options.rounds} rounds in turn, medians; "
        f"{FEW} connections where nothing else is said"
    )
    print(*measured.lines(), sep="\n")
    print(f"heavy queries: {len(heavy.seconds)} answered, {statistics.median(heavy.seconds):.2f} s each")
    print(f"memory at most: {memory_text(memory)}")


if __name__ == "__main__":
    main()
