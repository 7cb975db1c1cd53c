import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from benchmarks.harness.dies_at_rename import die_at_next_rename, start_gateway_that_can_die
from ingest_api.events.consumer import StreamConsumer
from ingest_api.events.flusher_events import Unobserved
from ingest_api.events.raw_tables import RawTables
from ingest_api.events.stream import stream_keys
from local_stack.clickhouse_users import write_users_file
from local_stack.processes import free_port, start_gateway
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.events.conftest import Server
from tests.ingest_api.events.events_given import append, ids_of, lines_of, rejected_rows, running, stored_ids
from tests.ingest_api.events.flushers_given import HOUR_MS, eventually, flusher_given, holding_process
from tests.ingest_api.events.losing_proxy import LosingProxy, Moment
from warehouse.client import Client, connect
from warehouse.config import WarehouseSettings


def test_flusher_writes_when_enough_events_wait(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    ids = ids_of(12)
    append(valkey.url, warehouse_settings.clickhouse_database, [ids[:6], ids[6:]])

    with running(flusher_given(valkey.url, warehouse_settings, batch_size=10, flush_interval_ms=HOUR_MS)):
        eventually(lambda: stored_ids(warehouse, warehouse_settings) == sorted(ids))


def test_flusher_writes_when_the_oldest_event_has_waited_enough(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, [["a"]])

    with running(flusher_given(valkey.url, warehouse_settings, flush_interval_ms=700)):
        time.sleep(0.3)
        before = stored_ids(warehouse, warehouse_settings)
        eventually(lambda: stored_ids(warehouse, warehouse_settings) == ["a"])

    assert before == []


def test_flusher_writes_everything_that_waits_in_few_parts(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, [ids_of(100, f"e{entry}-") for entry in range(50)])

    with running(flusher_given(valkey.url, warehouse_settings, batch_size=100)):
        eventually(lambda: len(stored_ids(warehouse, warehouse_settings)) == 5000)

    parts = f"SELECT count() FROM system.parts WHERE database = '{warehouse_settings.database('raw')}' AND level = 0"
    assert warehouse.query(parts).result_rows[0][0] <= 3


def test_flusher_gathers_a_trickle_into_two_batches_a_second(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    batches = _Batches()

    started = time.monotonic()
    with running(flusher_given(valkey.url, warehouse_settings, 10, HOUR_MS, observer=batches)):
        for entry in range(30):
            append(valkey.url, warehouse_settings.clickhouse_database, [ids_of(10, f"e{entry}-")])
        eventually(lambda: len(stored_ids(warehouse, warehouse_settings)) == 300)
        seconds = time.monotonic() - started

    assert 1 <= batches.count <= 2 + 2 * seconds


class _Batches(Unobserved):
    """Counts what was written together."""

    count = 0

    def flushed(self, events: int, entries: int, seconds: float, oldest_seconds: float) -> None:
        self.count += 1


def test_flushers_share_the_work_and_double_nothing(
    valkey: Valkey, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    entries = [ids_of(50, f"e{entry}-") for entry in range(200)]
    one, other = (flusher_given(valkey.url, warehouse_settings, batch_size=500) for _ in range(2))

    with running(one), running(other):
        append(valkey.url, warehouse_settings.clickhouse_database, entries)
        eventually(lambda: len(stored_ids(warehouse, warehouse_settings)) >= 10_000)

    assert stored_ids(warehouse, warehouse_settings) == sorted(event_id for entry in entries for event_id in entry)


def test_flusher_writes_what_it_holds_when_stopped(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, [["a"], ["b"]])

    with holding_process(valkey.url, warehouse_settings) as process:
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

    with running(flusher_given(valkey.url, away)):
        time.sleep(0.5)
        started = time.monotonic()

    assert time.monotonic() - started < 5
    assert redis.xlen(stream_keys(warehouse_settings.clickhouse_database).events) == 1


def test_flusher_sets_aside_what_is_no_event_and_goes_on(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    keys = stream_keys(warehouse_settings.clickhouse_database)
    redis.xadd(keys.events, {"something": "else"})
    redis.xadd(keys.events, {"n": 2, "events": b'{"event_id":"poison","occurred_at":"never"}\n' + lines_of(["a"])[0]})

    with running(flusher_given(valkey.url, warehouse_settings)):
        eventually(lambda: redis.xlen(keys.events) == 0)

    [rejected] = rejected_rows(warehouse, warehouse_settings)
    [(_, strange)] = redis.xrange(keys.dead_letters)
    assert stored_ids(warehouse, warehouse_settings) == ["a"]
    assert (rejected.event_id, rejected.code) == ("poison", "refused_by_warehouse")
    assert strange == {b"something": b"else", b"reason": b"not an entry of this service"}


def test_flusher_tells_its_observer_what_it_did(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    flushes = []

    class Notes(Unobserved):
        def flushed(self, events: int, entries: int, seconds: float, oldest_seconds: float) -> None:
            assert 0 <= seconds <= oldest_seconds + 1
            flushes.append((events, entries))

    append(valkey.url, warehouse_settings.clickhouse_database, [["a", "b"], ["c"]])

    with running(flusher_given(valkey.url, warehouse_settings, observer=Notes())):
        eventually(lambda: redis.xlen(stream_keys(warehouse_settings.clickhouse_database).events) == 0)

    assert flushes == [(3, 2)]


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
        with running(flusher_given(valkey.url, settings, batch_size=100, flush_interval_ms=20)):
            for kill in range(3):
                append(valkey.url, settings.clickhouse_database, entries[kill * 100 : kill * 100 + 100])
                os.kill(process.pid, signal.SIGKILL)
                process.stop()
                process = start_gateway(tmp_path, port, users)
                process.wait_healthy()
            with connect(settings) as warehouse:
                eventually(lambda: len(stored_ids(warehouse, settings)) >= 6000)

                stored = stored_ids(warehouse, settings)

        assert stored == sorted(event_id for entry in entries for event_id in entry)
    finally:
        process.stop()


def test_flusher_stores_each_event_once_when_clickhouse_is_killed_at_the_rename_of_a_part(
    valkey: Valkey, redis: Redis, tmp_path: Path
) -> None:
    users, port = tmp_path / "users.xml", free_port()
    write_users_file(users, "secret", "secret")
    process = start_gateway_that_can_die(tmp_path, port, users)
    try:
        process.wait_healthy()
        settings = fresh_settings(Gateway(port, "secret", "secret", process))
        keys = stream_keys(settings.clickhouse_database)
        with running(flusher_given(valkey.url, settings)), connect(settings) as warehouse:
            die_at_next_rename(process.pid)
            append(valkey.url, settings.clickhouse_database, [ids_of(50)])
            died_of = process.wait_exit(20)
            [token] = redis.hkeys(keys.intents)
            process = start_gateway(tmp_path, port, users)
            process.wait_healthy()
            eventually(lambda: redis.xlen(keys.events) == 0)

            stored = stored_ids(warehouse, settings)
            with closing(RawTables(settings)) as tables:
                tables.insert("events", b"".join(lines_of(["of another batch"])), token.decode())
            tried_again = stored_ids(warehouse, settings)
    finally:
        process.stop()

    assert died_of == -signal.SIGSYS
    assert stored == sorted(ids_of(50))
    # The token is used up although nothing was ever stored under it: this is what the flusher had to notice.
    assert tried_again == stored


def test_flusher_goes_on_when_valkey_comes_back(
    warehouse: Client, warehouse_settings: WarehouseSettings, server: Server
) -> None:
    with running(flusher_given(server.url, warehouse_settings)):
        append(server.url, warehouse_settings.clickhouse_database, [["a"]])
        eventually(lambda: stored_ids(warehouse, warehouse_settings) == ["a"])
        server.kill()
        server.start()
        append(server.url, warehouse_settings.clickhouse_database, [["b"]])

        eventually(lambda: stored_ids(warehouse, warehouse_settings) == ["a", "b"])


def test_flusher_goes_on_when_valkey_was_emptied(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    environment = warehouse_settings.clickhouse_database
    with running(flusher_given(valkey.url, warehouse_settings)):
        append(valkey.url, environment, [["a"]])
        eventually(lambda: stored_ids(warehouse, warehouse_settings) == ["a"])
        redis.delete(*redis.keys(f"{stream_keys(environment).events}*"))
        append(valkey.url, environment, [["b"]])

        eventually(lambda: stored_ids(warehouse, warehouse_settings) == ["a", "b"])


def test_flusher_empties_a_stream_that_has_filled_the_memory(
    warehouse: Client, warehouse_settings: WarehouseSettings, server: Server
) -> None:
    environment = warehouse_settings.clickhouse_database
    append(server.url, environment, [ids_of(20, f"e{entry}-") for entry in range(20)])
    with Redis.from_url(server.url) as redis:
        StreamConsumer(redis, stream_keys(environment)).join()
        redis.config_set("maxmemory", "1mb")

        with running(flusher_given(server.url, warehouse_settings)):
            eventually(lambda: redis.xlen(stream_keys(environment).events) == 0)

        used_bytes = redis.info("memory")["used_memory"]

    assert used_bytes > 1024 * 1024
    assert len(stored_ids(warehouse, warehouse_settings)) == 400


@pytest.mark.parametrize("command", [b"XREADGROUP", b"EVALSHA"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_flusher_stores_each_event_once_when_answers_of_valkey_get_lost(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings, command: bytes, when: Moment
) -> None:
    address = urlsplit(valkey.url)
    environment = warehouse_settings.clickhouse_database
    entries = [ids_of(5, f"e{entry}-") for entry in range(30)]
    with LosingProxy(address.port or 6379, command) as proxy:
        through_proxy = address._replace(netloc=f":{address.password}@127.0.0.1:{proxy.port}").geturl()
        with running(flusher_given(through_proxy, warehouse_settings, batch_size=10)):
            for entry in entries:
                proxy.lose(1, when)
                append(valkey.url, environment, [entry])
            eventually(lambda: redis.xlen(stream_keys(environment).events) == 0)

    assert stored_ids(warehouse, warehouse_settings) == sorted(event_id for entry in entries for event_id in entry)


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
