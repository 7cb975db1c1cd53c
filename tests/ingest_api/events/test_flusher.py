import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from ingest_api.config import StreamSettings
from ingest_api.events.consumer import StreamConsumer
from ingest_api.events.flusher import Flusher, open_flusher
from ingest_api.events.storing import EventTable
from ingest_api.events.stream import GROUP, stream_keys
from local_stack.clickhouse_users import write_users_file
from local_stack.processes import free_port, start_gateway, start_valkey
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.events.events_given import append, ids_of, lines_of, running, stored_ids
from warehouse.client import Client, connect
from warehouse.config import WarehouseSettings

_HOUR_MS = 3_600_000


def _flusher(url: str, settings: WarehouseSettings, batch_size: int = 1000, flush_interval_ms: int = 100) -> Flusher:
    stream = StreamSettings(redis_url=url, analytics_batch_size=batch_size, analytics_flush_interval=flush_interval_ms)
    return open_flusher(stream, settings)


def _eventually(condition: Callable[[], bool], patience_seconds: float = 30) -> None:
    deadline = time.monotonic() + patience_seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@contextmanager
def _holding_process(url: str, settings: WarehouseSettings) -> Iterator[subprocess.Popen[bytes]]:
    """A flusher process that has taken what is in the stream and waits for more."""
    environment = {
        **os.environ,
        "REDIS_URL": url,
        "ANALYTICS_FLUSH_INTERVAL": str(_HOUR_MS),
        "CLICKHOUSE_HOST": settings.clickhouse_host,
        "CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
        "CLICKHOUSE_DATABASE": settings.clickhouse_database,
    }
    process = subprocess.Popen([sys.executable, "-m", "ingest_api.events.flusher"], env=environment)
    try:
        with Redis.from_url(url) as redis:
            key = stream_keys(settings.clickhouse_database).events
            _eventually(lambda: bool(redis.xinfo_groups(key)) and redis.xpending(key, GROUP)["pending"] > 0)
        yield process
    finally:
        process.kill()
        process.wait()


def test_flusher_writes_when_enough_events_wait(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    ids = ids_of(12)
    append(valkey.url, warehouse_settings.clickhouse_database, [ids[:6], ids[6:]])

    with running(_flusher(valkey.url, warehouse_settings, batch_size=10, flush_interval_ms=_HOUR_MS)):
        _eventually(lambda: stored_ids(warehouse, warehouse_settings) == sorted(ids))


def test_flusher_writes_when_the_oldest_event_has_waited_enough(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, [["a"]])

    with running(_flusher(valkey.url, warehouse_settings, flush_interval_ms=700)):
        time.sleep(0.3)
        before = stored_ids(warehouse, warehouse_settings)
        _eventually(lambda: stored_ids(warehouse, warehouse_settings) == ["a"])

    assert before == []


def test_flusher_writes_everything_that_waits_in_few_parts(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, [ids_of(100, f"e{entry}-") for entry in range(50)])

    with running(_flusher(valkey.url, warehouse_settings, batch_size=100)):
        _eventually(lambda: len(stored_ids(warehouse, warehouse_settings)) == 5000)

    parts = f"SELECT count() FROM system.parts WHERE database = '{warehouse_settings.database('raw')}' AND level = 0"
    assert warehouse.query(parts).result_rows[0][0] <= 3


def test_flushers_share_the_work_and_double_nothing(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    entries = [ids_of(50, f"e{entry}-") for entry in range(200)]
    one, other = (_flusher(valkey.url, warehouse_settings, batch_size=500) for _ in range(2))

    with running(one), running(other):
        append(valkey.url, warehouse_settings.clickhouse_database, entries)
        _eventually(lambda: len(stored_ids(warehouse, warehouse_settings)) >= 10_000)

    assert stored_ids(warehouse, warehouse_settings) == sorted(event_id for entry in entries for event_id in entry)


def test_flusher_writes_what_it_holds_when_stopped(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, [["a"], ["b"]])

    with _holding_process(valkey.url, warehouse_settings) as process:
        append(valkey.url, warehouse_settings.clickhouse_database, [["c"]])
        process.send_signal(signal.SIGTERM)

        assert process.wait(20) == 0

    assert stored_ids(warehouse, warehouse_settings) == ["a", "b", "c"]
    assert redis.xlen(stream_keys(warehouse_settings.clickhouse_database).events) == 0


def test_flusher_ends_at_once_and_loses_nothing_when_stopped_while_clickhouse_is_away(
    valkey: Valkey, redis: Redis, warehouse_settings: WarehouseSettings
) -> None:
    away = warehouse_settings.model_copy(update={"clickhouse_host": f"127.0.0.1:{free_port()}"})
    append(valkey.url, warehouse_settings.clickhouse_database, [["a"]])

    with running(_flusher(valkey.url, away)):
        time.sleep(0.5)
        started = time.monotonic()

    assert time.monotonic() - started < 5
    assert redis.xlen(stream_keys(warehouse_settings.clickhouse_database).events) == 1


@pytest.mark.parametrize("was_stored", [False, True])
def test_flusher_takes_over_from_one_that_died(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings, was_stored: bool
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, [["a", "b"], ["c"]])
    dead = StreamConsumer(redis, stream_keys(warehouse_settings.clickhouse_database))
    dead.join()
    dead.read(1, 0)
    if was_stored:
        with closing(EventTable(warehouse_settings)) as table:
            table.insert(lines_of(["a", "b"]))

    with running(_flusher(valkey.url, warehouse_settings)):
        _eventually(lambda: redis.xlen(stream_keys(warehouse_settings.clickhouse_database).events) == 0)

    assert stored_ids(warehouse, warehouse_settings) == ["a", "b", "c"]


def test_flusher_sets_aside_what_is_no_event_and_goes_on(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    keys = stream_keys(warehouse_settings.clickhouse_database)
    redis.xadd(keys.events, {"something": "else"})
    redis.xadd(keys.events, {"n": 2, "b": b'{"event_id":"poison","occurred_at":"never"}\n' + lines_of(["a"])[0]})

    with running(_flusher(valkey.url, warehouse_settings)):
        _eventually(lambda: redis.xlen(keys.events) == 0)

    assert stored_ids(warehouse, warehouse_settings) == ["a"]
    [(_, strange), (_, poison)] = redis.xrange(keys.dead_letters)
    assert strange == {b"something": b"else", b"reason": b"not an entry of events"}
    assert poison[b"line"] == b'{"event_id":"poison","occurred_at":"never"}\n'
    assert b"occurred_at" in poison[b"reason"]


def test_flusher_stores_each_event_once_when_clickhouse_is_killed_again_and_again(
    valkey: Valkey, tmp_path: Path
) -> None:
    users, port = tmp_path / "users.xml", free_port()
    write_users_file(users, "secret", "secret")
    process = start_gateway(tmp_path, port, users)
    try:
        process.wait_healthy()
        settings = fresh_settings(Gateway(port, "secret", "secret", process))
        entries = [ids_of(20, f"e{entry}-") for entry in range(300)]
        with running(_flusher(valkey.url, settings, batch_size=100, flush_interval_ms=20)):
            for kill in range(3):
                append(valkey.url, settings.clickhouse_database, entries[kill * 100 : kill * 100 + 100])
                os.kill(process.pid, signal.SIGKILL)
                process.stop()
                process = start_gateway(tmp_path, port, users)
                process.wait_healthy()
            with connect(settings) as warehouse:
                _eventually(lambda: len(stored_ids(warehouse, settings)) >= 6000)

                stored = stored_ids(warehouse, settings)

        assert stored == sorted(event_id for entry in entries for event_id in entry)
    finally:
        process.stop()


def test_flusher_goes_on_when_valkey_comes_back(
    warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path
) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    process = start_valkey(tmp_path, port)
    try:
        process.wait_healthy()
        with running(_flusher(url, warehouse_settings)):
            append(url, warehouse_settings.clickhouse_database, [["a"]])
            _eventually(lambda: stored_ids(warehouse, warehouse_settings) == ["a"])
            os.kill(process.pid, signal.SIGKILL)
            process.stop()
            process = start_valkey(tmp_path, port)
            process.wait_healthy()
            append(url, warehouse_settings.clickhouse_database, [["b"]])

            _eventually(lambda: stored_ids(warehouse, warehouse_settings) == ["a", "b"])
    finally:
        process.stop()


def test_flusher_process_says_which_setting_is_wrong() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ingest_api.events.flusher"],
        env={**os.environ, "ANALYTICS_BATCH_SIZE": "none"},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 2
    assert "ANALYTICS_BATCH_SIZE" in done.stderr
    assert "Traceback" not in done.stderr
