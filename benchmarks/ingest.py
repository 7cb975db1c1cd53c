"""Events per second from `POST /track/batch` to rows visible in ClickHouse, as a ratio to bare inserts.

Baseline, in the same run and alternating with the measured path: the same rows, already encoded as JSONEachRow, in
sequential inserts of 10,000 over HTTP into the same engine. Rates depend on the machine; the ratio is what counts.
Run: python benchmarks/ingest.py [--events 100000] [--rounds 3]; it prints what benchmarks/results/ingest.txt keeps.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
import uuid
from pathlib import Path

from local_stack.config import StackSettings
from local_stack.credentials import load_or_create_credentials
from local_stack.ports import free_port
from local_stack.processes import Programs
from local_stack.stack import Stack
from local_stack.startup import apply_migrations, issue_access, start_engines, start_ingest, warehouse_settings
from local_stack.state_directory import StateDirectory
from warehouse.client import Client, connect

CONNECTIONS = 4
BARE_ROWS = 10_000


def events(count: int, salt: str) -> list[dict[str, object]]:
    """Make events as a shop sends them; ids differ from round to round so that each round stores new rows."""
    return [
        {
            "eventId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{salt}-{number}")),
            "eventName": ("page_view", "product_view", "add_to_cart", "purchase")[number % 4],
            "userId": f"user-{number % 5000}",
            "sessionId": f"session-{number % 20000}",
            "timestamp": 1_760_000_000_000 + number * 37,
            "properties": {"page": f"/products/{number % 300}", "product_id": str(number % 300), "revenue": "19.90"},
        }
        for number in range(count)
    ]


def post(port: int, bodies: list[bytes], key: str) -> None:
    """Post the bodies over a few connections at a time; raises RuntimeError unless each is answered 202."""
    remaining, lock, failures = iter(bodies), threading.Lock(), []

    def worker() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Content-Type": "application/json", "X-Write-Key": key}
        while True:
            with lock:
                body = next(remaining, None)
            if body is None or failures:
                return
            connection.request("POST", "/api/analytics/track/batch", body, headers)
            answer = connection.getresponse()
            if answer.read() and answer.status != 202:
                failures.append(answer.status)

    threads = [threading.Thread(target=worker) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"the API answered {failures[0]}")


def through_the_api(programs: Programs, client: Client, key: str, rows: list[dict[str, object]], batch: int) -> float:
    """Events per second until the last one is visible in `raw.events`."""
    bodies = [json.dumps({"events": rows[start : start + batch]}).encode() for start in range(0, len(rows), batch)]
    table = f"`{programs.settings.database}_raw`.events"
    target = int(client.command(f"SELECT count() FROM {table}")) + len(rows)  # noqa: S608
    started = time.perf_counter()
    post(programs.settings.ports.api, bodies, key)
    while int(client.command(f"SELECT count() FROM {table}")) < target:  # noqa: S608
        time.sleep(0.01)
    return len(rows) / (time.perf_counter() - started)


def bare(programs: Programs, client: Client, rows: list[dict[str, object]]) -> float:
    """Events per second of the same rows inserted straight into a table like `raw.events`."""
    raw = f"`{programs.settings.database}_raw`"
    client.command(f"CREATE OR REPLACE TABLE {raw}.bare AS {raw}.events")
    at = "2026-01-01 00:00:00.000"
    lines = [
        json.dumps(
            {
                "event_id": row["eventId"],
                "event_name": row["eventName"],
                "event_type": "user_action",
                "user_id": row["userId"],
                "anonymous_id": "",
                "session_id": row["sessionId"],
                "occurred_at": at,
                "received_at": at,
                "properties": json.dumps(row["properties"]),
                "context": "{}",
                "source": "web",
            }
        )
        for row in rows
    ]
    blocks = ["\n".join(lines[start : start + BARE_ROWS]).encode() for start in range(0, len(lines), BARE_ROWS)]
    started = time.perf_counter()
    for block in blocks:
        client.raw_insert(f"{raw}.bare", insert_block=block, fmt="JSONEachRow")
    return len(rows) / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, Stack() as stack:
        api, clickhouse, valkey = free_port(), free_port(), free_port()
        state = Path(directory)
        settings = StackSettings(state_dir=state, api_port=api, clickhouse_port=clickhouse, valkey_port=valkey)
        directory_of_state = StateDirectory(state)
        credentials = load_or_create_credentials(directory_of_state.credentials_file)
        programs = Programs(settings, directory_of_state, credentials)
        start_engines(stack, programs, lambda _: None)
        apply_migrations(programs)
        start_ingest(stack, programs)
        key = issue_access(programs).write_key
        client = connect(warehouse_settings(programs))
        rates: dict[str, list[float]] = {"bare": [], "batch of 1000": [], "batch of 100": []}
        for turn in range(options.rounds):
            rates["bare"].append(bare(programs, client, events(options.events, f"bare-{turn}")))
            for batch in (1000, 100):
                rows = events(options.events, f"{turn}-{batch}")
                rates[f"batch of {batch}"].append(through_the_api(programs, client, key, rows, batch))
        client.close()
    print(f"{options.events:,} events a round, {options.rounds} rounds, medians, {CONNECTIONS} connections")
    baseline = statistics.median(rates["bare"])
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"{name:15} {rate:10,.0f} events/s   {rate / baseline:5.2f} x bare inserts of {BARE_ROWS:,} rows")


if __name__ == "__main__":
    main()
