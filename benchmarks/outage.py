"""ClickHouse killed and away for a while at half load: what clients notice, what piles up, how fast it is worked off.

The full load is measured first, in the same run. Exits with 1 when an event was lost or doubled by the service.

Run: python -m benchmarks.outage [--seconds 15]; long form: python -m benchmarks.outage --seconds 600 --rate 20000
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness.backlog import look_at_backlog, seconds_until_caught_up
from benchmarks.harness.full_load import HALF_LOAD_BATCH, half_load
from benchmarks.harness.load import Load, posting
from benchmarks.harness.percentiles import milliseconds_text, percentile
from benchmarks.harness.raw_table import raw_table, reckon
from benchmarks.harness.tracking import Sender
from benchmarks.harness.usage import memory_text, peak_memory_bytes
from local_stack.event_stream import wait_until_drained
from local_stack.startup import ingest_stack
from local_stack.valkey_server import valkey_url

_CONNECTIONS = 8
_AROUND_SECONDS = 5.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15, help="how long ClickHouse is away")
    parser.add_argument(
        "--rate", type=float, default=0, help="events per second; by default half of what can be carried"
    )
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="analytics-outage-") as directory,
        ingest_stack(Path(directory)) as running,
    ):
        stack, settings = running.stack, running.programs.settings
        with raw_table(running.programs) as table:
            rate = options.rate or half_load(running, table)
            table.clear()
        requests = Sender("outage", running.access.write_key).batches(2**31, HALF_LOAD_BATCH)
        load = Load(settings.ports.api, requests, connections=_CONNECTIONS, events_per_second=rate)
        clickhouse = next(process for process in stack.processes if process.name == "clickhouse")
        with posting(load):
            time.sleep(_AROUND_SECONDS)
            if load.refused:
                raise RuntimeError(load.refused[0])
            away_at = time.perf_counter()
            clickhouse.kill()
            time.sleep(options.seconds)
            at_worst, back_at = look_at_backlog(running), time.perf_counter()
            events_away = sum(one.size for one in load.acknowledged if one.answered_at > away_at)
            stack.replace(clickhouse)
            stack.wait_healthy(stack.processes)
            seconds_until_caught_up(running)
            caught_up_seconds = time.perf_counter() - back_at
            time.sleep(_AROUND_SECONDS)
        url = valkey_url(settings.ports.valkey, running.programs.credentials.valkey_password)
        wait_until_drained(url, settings.database, stack.pulse)
        memory = {process.name: peak_memory_bytes(process.pid) for process in stack.processes}
        with raw_table(running.programs) as table:
            reckoning = reckon(table, load.acknowledged, load.sent_events)
    before = [one.latency_seconds for one in load.acknowledged if one.answered_at < away_at]
    during = [one.latency_seconds for one in load.acknowledged if away_at < one.due_at and one.answered_at < back_at]
    ratios = ", ".join(f"p{part} {percentile(during, part) / percentile(before, part):.2f}" for part in (50, 95, 99))
    print(
        f"ClickHouse killed and away for {options.seconds:.0f} s at {rate:,.0f} events/s, batches of {HALF_LOAD_BATCH}"
    )
    print(f"request to acknowledgement before: {milliseconds_text(before)}")
    print(f"request to acknowledgement meanwhile: {milliseconds_text(during)}; x before: {ratios}")
    print(
        f"waiting at the end: {events_away:,} events in {at_worst.entries:,} entries, Valkey "
        f"{at_worst.used_bytes / 1024 / 1024:,.0f} MiB, {at_worst.used_bytes / max(1, events_away):.0f} bytes an event"
    )
    print(
        f"worked off {caught_up_seconds:.1f} s after ClickHouse was started, "
        f"{caught_up_seconds / options.seconds:.2f} x the outage"
    )
    print(f"memory at most: {memory_text(memory)}")
    problems = [*reckoning.problems, *load.refused[:1]]
    print(*reckoning.lines(), *(f"FAILED: {problem}" for problem in problems), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
