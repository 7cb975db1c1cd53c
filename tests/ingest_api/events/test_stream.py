import asyncio
import secrets
import time
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from ingest_api.errors import StreamAway
from ingest_api.events.consumer import StreamConsumer
from ingest_api.events.stream import EventStream, open_event_stream, stream_keys, stream_state
from local_stack.processes import free_port, start_valkey
from tests.conftest import Valkey
from tests.ingest_api.events.events_given import append


async def test_append_returns_when_the_events_are_in_the_stream(valkey: Valkey, redis: Redis, environment: str) -> None:
    async with open_event_stream(valkey.url, environment) as stream:
        await stream.append(b"one\n", 1)

        [(_, fields)] = redis.xrange(stream_keys(environment).events)

    assert fields == {b"n": b"1", b"b": b"one\n"}


async def test_appends_that_wait_together_become_one_entry(valkey: Valkey, redis: Redis, environment: str) -> None:
    async with open_event_stream(valkey.url, environment) as stream:
        await asyncio.gather(*(stream.append(b"%d\n" % number, 1) for number in range(500)))

    entries = redis.xrange(stream_keys(environment).events)
    assert len(entries) <= 3
    assert b"".join(fields[b"b"] for _, fields in entries) == b"".join(b"%d\n" % number for number in range(500))
    assert sum(int(fields[b"n"]) for _, fields in entries) == 500


async def test_one_entry_does_not_grow_without_bound(valkey: Valkey, redis: Redis, environment: str) -> None:
    megabyte = b"x" * 1024 * 1024
    async with open_event_stream(valkey.url, environment) as stream:
        await asyncio.gather(*(stream.append(megabyte, 1) for _ in range(12)))

    entries = redis.xrange(stream_keys(environment).events)
    assert max(len(fields[b"b"]) for _, fields in entries) <= 4 * len(megabyte)
    assert sum(int(fields[b"n"]) for _, fields in entries) == 12


async def test_append_is_refused_when_too_much_waits(valkey: Valkey, environment: str) -> None:
    async with AsyncRedis.from_url(valkey.url) as redis:
        stream = EventStream(redis, stream_keys(environment).events, max_waiting_bytes=10)
        waiting = asyncio.create_task(stream.append(b"12345678", 1))
        await asyncio.sleep(0)

        with pytest.raises(StreamAway) as refused:
            await stream.append(b"12345678", 1)

        stream.close()
        await stream.write()
        await waiting
    assert refused.value.code == "stream_full"
    assert refused.value.headers()["retry-after"]


async def test_leaving_the_stream_writes_what_waits(valkey: Valkey, redis: Redis, environment: str) -> None:
    async with open_event_stream(valkey.url, environment) as stream:
        waiting = [asyncio.create_task(stream.append(b"x\n", 1)) for _ in range(10)]
        await asyncio.sleep(0)

    await asyncio.gather(*waiting)
    assert sum(int(fields[b"n"]) for _, fields in redis.xrange(stream_keys(environment).events)) == 10


async def test_a_request_that_gives_up_does_not_disturb_the_others(
    valkey: Valkey, redis: Redis, environment: str
) -> None:
    async with open_event_stream(valkey.url, environment) as stream:
        waiting = [asyncio.create_task(stream.append(b"x\n", 1)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()

        answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(answer) for answer in answers] == [type(None), asyncio.CancelledError, type(None)]


async def test_append_fails_while_valkey_is_away_and_works_when_it_is_back(tmp_path: Path, environment: str) -> None:
    port = free_port()
    async with open_event_stream(f"redis://127.0.0.1:{port}", environment) as stream:
        started = time.monotonic()
        with pytest.raises(StreamAway):
            await stream.append(b"lost\n", 1)
        assert time.monotonic() - started < 5

        process = start_valkey(tmp_path, port)
        try:
            process.wait_healthy()
            await stream.append(b"kept\n", 1)
        finally:
            process.stop()


async def test_append_fails_when_valkey_is_full(tmp_path: Path) -> None:
    port, environment = free_port(), f"test_{secrets.token_hex(4)}"
    process = start_valkey(tmp_path, port)
    try:
        process.wait_healthy()
        url = f"redis://127.0.0.1:{port}"
        with Redis.from_url(url) as redis:
            redis.config_set("maxmemory", "1mb")
        async with open_event_stream(url, environment) as stream:
            with pytest.raises(StreamAway):
                await stream.append(b"x" * 1024 * 1024, 1)
    finally:
        process.stop()


async def test_stream_state_tells_how_far_behind_the_warehouse_is(
    valkey: Valkey, redis: Redis, environment: str
) -> None:
    await asyncio.to_thread(append, valkey.url, environment, [["a"], ["b", "c"]])
    consumer = StreamConsumer(redis, stream_keys(environment))
    consumer.join()
    consumer.read(1, 0)
    consumer.bury({"line": "x"}, "because")

    async with AsyncRedis.from_url(valkey.url) as asking:
        with consumer.alive():
            during = await stream_state(asking, environment)
        after = await stream_state(asking, environment)
        nothing = await stream_state(asking, f"{environment}_empty")

    assert (during.length, during.pending, during.flusher_alive, during.dead_letters) == (2, 1, True, 1)
    assert 0 <= during.oldest_seconds < 30
    assert not after.flusher_alive
    assert (nothing.length, nothing.pending, nothing.oldest_seconds, nothing.flusher_alive) == (0, 0, 0.0, False)
