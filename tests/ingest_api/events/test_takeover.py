"""What happens to the entries of a flusher that dies, or only sleeps, at each step of its work."""

import signal
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis

from ingest_api.events.batches import batch_of
from ingest_api.events.consumer import StreamConsumer
from ingest_api.events.ownership import ACKNOWLEDGE
from ingest_api.events.raw_tables import RawTables
from ingest_api.events.stream import GROUP, StreamKeys, stream_keys
from tests.conftest import Gateway, Valkey
from tests.ingest_api.events.events_given import append, ids_of, running, stored_ids
from tests.ingest_api.events.flushers_given import eventually, flusher_given, flusher_process, holding_process
from tests.ingest_api.events.losing_proxy import LosingProxy
from warehouse.client import Client
from warehouse.config import WarehouseSettings

ENTRIES = [ids_of(10, "a"), ids_of(10, "b"), ids_of(10, "c")]
IDS = sorted(event_id for entry in ENTRIES for event_id in entry)


@pytest.fixture
def keys(warehouse_settings: WarehouseSettings) -> StreamKeys:
    return stream_keys(warehouse_settings.clickhouse_database)


@pytest.fixture
def clickhouse_proxy(gateway: Gateway) -> Iterator[LosingProxy]:
    with LosingProxy(gateway.port, b"INSERT") as proxy:
        yield proxy


@pytest.mark.parametrize("stored", ["nothing", "the batch"])
@pytest.mark.parametrize("fenced", [False, True], ids=["not written down", "written down"])
def test_heir_stores_once_what_a_dead_flusher_took(
    valkey: Valkey,
    redis: Redis,
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    keys: StreamKeys,
    fenced: bool,
    stored: str,
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, ENTRIES)
    dead = StreamConsumer(redis, keys)
    dead.join()
    batch = batch_of(dead.read(2, 0))
    if fenced:
        dead.fence(batch.token, batch.entry_ids)
    if stored == "the batch":
        RawTables(warehouse_settings).insert("events", batch.tables["events"], batch.token)

    with running(flusher_given(valkey.url, warehouse_settings)):
        eventually(lambda: redis.xlen(keys.events) == 0)

    assert stored_ids(warehouse, warehouse_settings) == IDS
    assert redis.hlen(keys.intents) == 0


def test_heir_divides_what_it_takes_over_as_the_dead_flusher_did(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings, keys: StreamKeys
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, ENTRIES)
    dead = StreamConsumer(redis, keys)
    dead.join()
    first, rest = batch_of(dead.read(1, 0)), batch_of(dead.read(2, 0))
    for batch in (first, rest):
        dead.fence(batch.token, batch.entry_ids)

    with running(flusher_given(valkey.url, warehouse_settings)):
        eventually(lambda: redis.xlen(keys.events) == 0)
    # An insert that the dead one had sent off arrives last of all.
    RawTables(warehouse_settings).insert("events", rest.tables["events"], rest.token)
    RawTables(warehouse_settings).insert("events", first.tables["events"], first.token)

    assert stored_ids(warehouse, warehouse_settings) == IDS


def test_flusher_that_slept_before_it_wrote_down_its_batch_leaves_it_to_its_heir(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings, keys: StreamKeys
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, ENTRIES[:1])
    # The heir has entries of another flusher, too, so that its token is not the one that the sleeper would choose.
    dead = StreamConsumer(redis, keys)
    dead.join()
    dead.read(1, 0)
    redis.set(keys.flusher_prefix + dead.name, "lives until it is taken for dead")
    append(valkey.url, warehouse_settings.clickhouse_database, ENTRIES[1:])

    with holding_process(valkey.url, warehouse_settings) as sleeper:
        _put_to_sleep(sleeper, redis, keys)
        with running(flusher_given(valkey.url, warehouse_settings)):
            eventually(lambda: redis.xlen(keys.events) == 0)
            by_the_heir = stored_ids(warehouse, warehouse_settings)
            sleeper.send_signal(signal.SIGCONT)
            sleeper.send_signal(signal.SIGTERM)

            ended_with = sleeper.wait(20)

    assert by_the_heir == IDS
    assert ended_with == 0
    assert stored_ids(warehouse, warehouse_settings) == IDS


def test_flusher_that_slept_between_writing_down_and_inserting_doubles_nothing(
    valkey: Valkey,
    redis: Redis,
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    keys: StreamKeys,
    clickhouse_proxy: LosingProxy,
) -> None:
    through_proxy = warehouse_settings.model_copy(update={"clickhouse_host": f"127.0.0.1:{clickhouse_proxy.port}"})
    append(valkey.url, warehouse_settings.clickhouse_database, ENTRIES)
    clickhouse_proxy.hold()

    with flusher_process(valkey.url, through_proxy, flush_interval_ms=100) as sleeper:
        assert clickhouse_proxy.holds.wait(20)
        _put_to_sleep(sleeper, redis, keys)
        with running(flusher_given(valkey.url, warehouse_settings)):
            eventually(lambda: redis.xlen(keys.events) == 0)
            by_the_heir = stored_ids(warehouse, warehouse_settings)
            # Now the sleeper's own insert gets to ClickHouse, and the sleeper wakes up to its answer.
            clickhouse_proxy.release()
            sleeper.send_signal(signal.SIGCONT)
            sleeper.send_signal(signal.SIGTERM)

            ended_with = sleeper.wait(20)

    assert by_the_heir == IDS
    assert ended_with == 0
    assert stored_ids(warehouse, warehouse_settings) == IDS


def test_heir_waits_for_an_insert_that_is_still_under_way(
    valkey: Valkey,
    redis: Redis,
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    keys: StreamKeys,
    clickhouse_proxy: LosingProxy,
) -> None:
    through_proxy = warehouse_settings.model_copy(update={"clickhouse_host": f"127.0.0.1:{clickhouse_proxy.port}"})
    append(valkey.url, warehouse_settings.clickhouse_database, ENTRIES)
    clickhouse_proxy.hold()

    with flusher_process(valkey.url, through_proxy, flush_interval_ms=100) as dead:
        assert clickhouse_proxy.holds.wait(20)
        dead.kill()
        _take_for_dead(redis, keys)
        with running(flusher_given(valkey.url, warehouse_settings)):
            clickhouse_proxy.release()
            eventually(lambda: redis.xlen(keys.events) == 0)

    assert stored_ids(warehouse, warehouse_settings) == IDS


def test_flusher_killed_between_insert_and_acknowledge_leaves_nothing_to_be_stored_again(
    valkey: Valkey, redis: Redis, warehouse: Client, warehouse_settings: WarehouseSettings, keys: StreamKeys
) -> None:
    append(valkey.url, warehouse_settings.clickhouse_database, ENTRIES)
    address = urlsplit(valkey.url)
    with LosingProxy(address.port or 6379, redis.script_load(ACKNOWLEDGE).encode()) as proxy:
        through_proxy = address._replace(netloc=f":{address.password}@127.0.0.1:{proxy.port}").geturl()
        proxy.hold()
        with flusher_process(through_proxy, warehouse_settings, flush_interval_ms=100) as killed:
            assert proxy.holds.wait(20)
            killed.kill()
            killed.wait()
            left = (stored_ids(warehouse, warehouse_settings), redis.xpending(keys.events, GROUP)["pending"])
            proxy.lose(1, "before")
    _take_for_dead(redis, keys)

    with running(flusher_given(valkey.url, warehouse_settings)):
        eventually(lambda: redis.xlen(keys.events) == 0)

    assert left == (IDS, 3)
    assert stored_ids(warehouse, warehouse_settings) == IDS


def _put_to_sleep(process: subprocess.Popen[bytes], redis: Redis, keys: StreamKeys) -> None:
    process.send_signal(signal.SIGSTOP)
    _take_for_dead(redis, keys)


def _take_for_dead(redis: Redis, keys: StreamKeys) -> None:
    """Make the sign of life of all flushers end at once, not after seconds."""
    redis.delete(*redis.keys(f"{keys.flusher_prefix}*"))
