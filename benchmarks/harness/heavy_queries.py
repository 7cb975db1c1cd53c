"""Readers who keep the engine busy: scans and aggregations of some millions of rows, as a dashboard tool sends them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from local_stack.startup import IngestStack, warehouse_settings
from warehouse.client import connect
from warehouse.config import WarehouseSettings

READERS = 4
_ROWS = 3_000_000
_QUERIES = (
    "SELECT day, uniqExact(user_id), sum(revenue) FROM {marts:Identifier}.visits GROUP BY day ORDER BY day",
    "SELECT user_id, count(), max(page) FROM {marts:Identifier}.visits GROUP BY user_id ORDER BY 2 DESC LIMIT 10",
    "SELECT page, quantileExact(0.9)(revenue), uniq(user_id) FROM {marts:Identifier}.visits GROUP BY page",
    "SELECT count() FROM {marts:Identifier}.visits WHERE match(page, 'products/(1|2)[0-9]*7$')",
)


@dataclass(slots=True)
class HeavyQueries:
    """What the readers got done."""

    seconds: list[float] = field(default_factory=list)
    """Of each query that was answered."""


def make_visits(running: IngestStack) -> None:
    """Make the table that the readers read."""
    settings = warehouse_settings(running.programs)
    client = connect(settings)
    marts = settings.database("marts")
    client.command(f"CREATE DATABASE IF NOT EXISTS `{marts}`")
    client.command(
        f"CREATE OR REPLACE TABLE `{marts}`.visits ENGINE = MergeTree ORDER BY day AS "  # noqa: S608
        "SELECT toDate('2026-01-01') + intDiv(number, 100000) AS day, concat('user-', toString(cityHash64(number) "
        "% 200000)) AS user_id, concat('/products/', toString(number % 300)) AS page, number % 10000 / 100 AS revenue "
        f"FROM numbers({_ROWS})"
    )
    client.close()


@contextmanager
def heavy_queries(running: IngestStack) -> Iterator[HeavyQueries]:
    """Keep `READERS` queries of `bi_reader` running while the block runs."""
    owner = warehouse_settings(running.programs)
    password = SecretStr(running.programs.credentials.bi_reader_password)
    reader = owner.model_copy(update={"clickhouse_username": "bi_reader", "clickhouse_password": password})
    done, leaving = HeavyQueries(), threading.Event()
    threads = [
        threading.Thread(target=_read, args=(reader, number, done, leaving), daemon=True) for number in range(READERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        leaving.set()
        for thread in threads:
            thread.join()


def _read(settings: WarehouseSettings, number: int, done: HeavyQueries, leaving: threading.Event) -> None:
    client = connect(settings)
    turn = number
    while not leaving.is_set():
        started = time.perf_counter()
        client.query(_QUERIES[turn % len(_QUERIES)], parameters={"marts": settings.database("marts")})
        done.seconds.append(time.perf_counter() - started)
        turn += 1
    client.close()
