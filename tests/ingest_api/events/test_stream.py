import asyncio
import secrets
import time
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from ingest_api.errors import StreamAway
from ingest_api.events.appending import APPEND, StreamWriter
from ingest_api.events.consumer import StreamConsumer
from ingest_api.events.entries import Entry, unpack
from ingest_api.events.memory_bound import MemoryBound
from ingest_api.events.stream import EventStream, Rows, open_event_stream, stream_keys, stream_state
from local_stack.processes import free_port
from tests.conftest import Valkey
from tests.ingest_api.events.conftest import Server
from tests.ingest_api.events.events_given import GIBIBYTE, append
from tests.ingest_api.events.losing_proxy import LosingProxy, Moment


async def test_append_returns_when_the_events_are_in_the_stream(valkey: Valkey, redis: Redis, environment: str) -> None:
    async with open_event_stream(valkey.url, environment, GIBIBYTE) as stream:
        await stream.append(Rows(b"one\n", 1))

        [(_, fields)] = redis.xrange(stream_keys(environment).events)

    assert fields == {b"n": b"1", b"events": b"one\n"}


async def test_appends_that_wait_together_become_one_entry(valkey: Valkey, redis: Redis, environment: str) -> None:
    async with open_event_stream(valkey.url, environment, GIBIBYTE) as stream:
        await asyncio.gather(*(stream.append(Rows(b"%d\n" % number, 1)) for number in range(500)))

    entries = _entries(redis, environment)
    assert len(entries) <= 3
    assert b"".join(entry.tables["events"] for entry in entries) == b"".join(b"%d\n" % n for n in range(500))
    assert sum(entry.count for entry in entries) == 500


async def test_one_entry_does_not_grow_without_bound(valkey: Valkey, redis: Redis, environment: str) -> None:
    megabyte = b"x" * (1024 * 1024 - 1) + b"\n"
    async with open_event_stream(valkey.url, environment, GIBIBYTE) as stream:
        await asyncio.gather(*(stream.append(Rows(megabyte, 1)) for _ in range(12)))

    entries = _entries(redis, environment)
    assert max(entry.size_bytes() for entry in entries) <= 4 * len(megabyte)
    assert sum(entry.count for entry in entries) == 12


async def test_append_is_refused_when_too_much_waits(valkey: Valkey, environment: str) -> None:
    keys = stream_keys(environment)
    writer = StreamWriter(valkey.url, keys.events, keys.writer_prefix)
    async with AsyncRedis.from_url(valkey.url) as redis:
        stream = EventStream(writer, MemoryBound(redis, GIBIBYTE), max_waiting_bytes=10)
        waiting = asyncio.ensure_future(stream.append(Rows(b"12345678", 1)))
        await asyncio.sleep(0)

        with pytest.raises(StreamAway) as refused:
            await stream.append(Rows(b"12345678", 1))

        stream.close()
        await stream.write()
        await waiting
    await writer.close()
    assert refused.value.code == "stream_full"
    assert refused.value.headers()["retry-after"]


async def test_leaving_the_stream_writes_what_waits(valkey: Valkey, redis: Redis, environment: str) -> None:
    async with open_event_stream(valkey.url, environment, GIBIBYTE) as stream:
        waiting = [asyncio.ensure_future(stream.append(Rows(b"x\n", 1))) for _ in range(10)]
        await asyncio.sleep(0)

    await asyncio.gather(*waiting)
    assert sum(entry.count for entry in _entries(redis, environment)) == 10


async def test_a_request_that_gives_up_does_not_disturb_the_others(
    valkey: Valkey, redis: Redis, environment: str
) -> None:
    async with open_event_stream(valkey.url, environment, GIBIBYTE) as stream:
        waiting = [asyncio.ensure_future(stream.append(Rows(b"x\n", 1))) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()

        answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(answer) for answer in answers] == [type(None), asyncio.CancelledError, type(None)]


async def test_append_fails_while_valkey_is_away_and_works_when_it_is_back(server: Server, environment: str) -> None:
    server.stop()
    async with open_event_stream(server.url, environment, GIBIBYTE) as stream:
        started = time.monotonic()
        with pytest.raises(StreamAway):
            await stream.append(Rows(b"lost\n", 1))
        waited = time.monotonic() - started

        server.start()
        await stream.append(Rows(b"kept\n", 1))

    assert waited < 5


async def test_append_waits_out_a_short_absence_of_valkey(server: Server, environment: str) -> None:
    async with open_event_stream(server.url, environment, GIBIBYTE) as stream:
        await stream.append(Rows(b"one\n", 1))
        server.kill()
        appending = asyncio.ensure_future(stream.append(Rows(b"two\n", 1)))
        await asyncio.to_thread(server.start)

        await appending

    with Redis.from_url(server.url) as redis:
        entries = _entries(redis, environment)
    assert [entry.tables["events"] for entry in entries] == [b"one\n", b"two\n"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_event_is_in_the_stream_once_when_answers_get_lost(
    valkey: Valkey, redis: Redis, environment: str, when: Moment
) -> None:
    address = urlsplit(valkey.url)
    with LosingProxy(address.port or 6379, b"to be lost") as proxy:
        through_proxy = address._replace(netloc=f":{address.password}@127.0.0.1:{proxy.port}").geturl()
        async with open_event_stream(through_proxy, environment, GIBIBYTE) as stream:
            await stream.append(Rows(b"first\n", 1))
            proxy.lose(2, when)

            await stream.append(Rows(b"to be lost\n", 1))
            await stream.append(Rows(b"last\n", 1))

    assert [entry.tables["events"] for entry in _entries(redis, environment)] == [
        b"first\n",
        b"to be lost\n",
        b"last\n",
    ]


async def test_append_that_arrives_late_is_not_made_again(valkey: Valkey, redis: Redis, environment: str) -> None:
    keys = stream_keys(environment)
    async with open_event_stream(valkey.url, environment, GIBIBYTE) as stream:
        await stream.append(Rows(b"one\n", 1))
        await stream.append(Rows(b"two\n", 1))
        [writer_key] = redis.keys(f"{keys.writer_prefix}*")

        answers = [redis.eval(APPEND, 2, keys.events, writer_key, number, "n", 1) for number in (1, 2, 3)]

    assert answers == [0, 0, 1]
    assert redis.xlen(keys.events) == 3
    assert 0 < redis.ttl(writer_key) <= 3600


async def test_all_that_wait_are_refused_together_when_valkey_is_away(environment: str) -> None:
    async with open_event_stream(f"redis://127.0.0.1:{free_port()}", environment, GIBIBYTE) as stream:
        first = asyncio.ensure_future(stream.append(Rows(b"first\n", 1)))
        await asyncio.sleep(0.1)
        started = time.monotonic()

        answers = await asyncio.gather(
            first, *(stream.append(Rows(b"x\n", 1)) for _ in range(3)), return_exceptions=True
        )

    assert [type(answer) for answer in answers] == [StreamAway] * 4
    assert time.monotonic() - started < 5


async def test_append_is_refused_when_valkey_is_full_and_made_when_it_has_room(
    server: Server, environment: str
) -> None:
    with Redis.from_url(server.url) as redis:
        async with open_event_stream(server.url, environment, GIBIBYTE) as stream:
            redis.config_set("maxmemory", "1mb")
            with pytest.raises(StreamAway) as refused:
                await stream.append(Rows(b"refused\n", 1))

            redis.config_set("maxmemory", "1gb")
            await stream.append(Rows(b"kept\n", 1))

        entries = _entries(redis, environment)
    assert refused.value.code == "stream_full"
    assert [entry.tables["events"] for entry in entries] == [b"kept\n"]


async def test_append_is_refused_above_the_bound_and_made_again_when_the_stream_was_emptied(
    server: Server, environment: str
) -> None:
    with Redis.from_url(server.url) as redis:
        bound = redis.info("memory")["used_memory"] + 8 * 1024 * 1024
        async with open_event_stream(server.url, environment, bound) as stream:
            accepted, refused = 0, None
            while refused is None:
                try:
                    await stream.append(Rows(secrets.token_bytes(256 * 1024), 1))
                    accepted += 1
                except StreamAway as error:
                    refused = error
            kept = redis.xlen(stream_keys(environment).events)

            redis.delete(stream_keys(environment).events)
            while not await _is_appended(stream):
                await asyncio.sleep(0.05)

    assert refused.code == "stream_full"
    assert int(refused.headers()["retry-after"]) > 0
    assert accepted == kept > 8


async def test_stream_state_tells_how_far_behind_the_warehouse_is(
    valkey: Valkey, redis: Redis, environment: str
) -> None:
    await asyncio.to_thread(append, valkey.url, environment, [["a"], ["b", "c"]])
    consumer = StreamConsumer(redis, stream_keys(environment))
    consumer.join()
    consumer.read(1, 0)
    consumer.bury({b"line": b"x"}, "because")

    async with AsyncRedis.from_url(valkey.url) as asking:
        with consumer.alive():
            during = await stream_state(asking, environment)
        after = await stream_state(asking, environment)
        nothing = await stream_state(asking, f"{environment}_empty")

    assert (during.length, during.pending, during.flusher_alive, during.dead_letters) == (2, 1, True, 1)
    assert 0 <= during.oldest_seconds < 30
    assert not after.flusher_alive
    assert (nothing.length, nothing.pending, nothing.oldest_seconds, nothing.flusher_alive) == (0, 0, 0.0, False)


async def _is_appended(stream: EventStream) -> bool:
    try:
        await stream.append(Rows(b"again\n", 1))
    except StreamAway:
        return False
    return True


def _entries(redis: Redis, environment: str) -> list[Entry]:
    return [unpack(entry_id, fields) for entry_id, fields in redis.xrange(stream_keys(environment).events)]
