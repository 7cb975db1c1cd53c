"""How long after its acknowledgement an event is visible in `raw.events`, at half of the load that can be carried.

The full load is measured first, in the same run. A sample of the events is looked for again and again until it is
there, so each figure is up to one look (a tenth of a second) too large.

Run: python -m benchmarks.latency [--seconds 10]
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.full_load import HALF_LOAD_BATCH, half_load
from benchmarks.harness.load import Load, posting
from benchmarks.harness.percentiles import milliseconds_text, percentile
from benchmarks.harness.raw_table import RawTable, raw_table
from benchmarks.harness.tracking import INDEX_OF_ID, Sender
from local_stack.startup import ingest_stack

TARGET_SECONDS = 2.0
_SAMPLE = 97
"""One of so many events is looked for."""
_LOOK_SECONDS = 0.1
_CONNECTIONS = 8


@contextmanager
def watching(table: RawTable) -> Iterator[dict[int, float]]:
    """Look for the sampled events while the block runs: when each was first seen, by its number."""
    seen: dict[int, float] = {}
    leaving = threading.Event()
    query = (
        f"SELECT {INDEX_OF_ID} AS number FROM {table.name} "  # noqa: S608
        f"WHERE inserted_at > now64(3) - INTERVAL 3 SECOND AND number % {_SAMPLE} = 0"
    )

    def look() -> None:
        while not leaving.wait(_LOOK_SECONDS):
            rows = table.client.query(query).result_rows
            now = time.perf_counter()
            for (number,) in rows:
                seen.setdefault(number, now)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        leaving.set()
        thread.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="analytics-latency-") as directory,
        ingest_stack(Path(directory)) as running,
        raw_table(running.programs) as table,
        raw_table(running.programs) as watched,
    ):
        interval = running.programs.environment["ANALYTICS_FLUSH_INTERVAL"]
        rate = half_load(running, table)
        requests = Sender("latency", running.access.write_key).batches(int(rate * options.seconds), HALF_LOAD_BATCH)
        api_port = running.programs.settings.ports.api
        load = Load(api_port, requests, connections=_CONNECTIONS, events_per_second=rate)
        with watching(watched) as seen:
            with posting(load):
                time.sleep(options.seconds)
            table.seconds_until_rows(load.acknowledged_events)
            time.sleep(2 * _LOOK_SECONDS)
    waits = [
        seen[number] - one.answered_at
        for one in load.acknowledged
        for number in range(one.first, one.first + one.size)
        if number % _SAMPLE == 0
    ]
    print(
        f"half load: {rate:,.0f} events/s in batches of {HALF_LOAD_BATCH} for {options.seconds:.0f} s, "
        f"ANALYTICS_FLUSH_INTERVAL={interval}"
    )
    print(f"request to acknowledgement: {milliseconds_text([one.latency_seconds for one in load.acknowledged])}")
    print(
        f"acknowledgement to visible: {milliseconds_text(waits)}, longest {max(waits):.2f} s, {len(waits):,} events; "
        f"p95 is {percentile(waits, 95) / TARGET_SECONDS:.2f} x the target of {TARGET_SECONDS:.0f} s"
    )


if __name__ == "__main__":
    main()
