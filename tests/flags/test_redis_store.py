"""Definitions in a real Valkey: together with the event stream, or not at all."""

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from flags.redis_store import LOST, DefinitionStore, OutcomeUnknown, Revision
from local_stack.processes import free_port
from tests.conftest import Valkey


@pytest_asyncio.fixture
async def client(valkey: Valkey) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey.url) as client:
        yield client


@pytest_asyncio.fixture
async def store(client: Redis) -> DefinitionStore:
    """One that has definitions, though none yet."""
    store = store_on(client)
    assert await store.restore({}, 7)
    return store


def store_on(client: Redis, environment: str = "") -> DefinitionStore:
    environment = environment or f"test_{secrets.token_hex(4)}"
    return DefinitionStore(client, environment, f"{{{environment}}}:events")


def revision(version: int, document: bytes = b"{}") -> Revision:
    return Revision(version, document, b'{"version": %d}\n' % version)


async def entries(client: Redis, store: DefinitionStore) -> list[bytes]:
    stream = store.channel.replace(":definitions:changed", ":events")
    return [fields[b"definition_changes"] for _, fields in await client.xrange(stream)]


async def test_a_valkey_without_definitions_is_lost_and_takes_none(client: Redis) -> None:
    store = store_on(client)

    assert await store.marks() == ("", 0)
    assert await store.snapshot() == LOST
    assert not await store.commit(LOST, {"flag:a": revision(1)})
    assert await entries(client, store) == []


async def test_a_change_writes_document_number_and_audit_trail_together(client: Redis, store: DefinitionStore) -> None:
    before = await store.snapshot()

    assert await store.commit(before, {"flag:a": revision(1, b"A"), "segment:b": revision(1, b"B")})

    after = await store.snapshot()
    assert (after.epoch, after.version) == (before.epoch, 8)
    assert after.revisions == {"flag:a": Revision(1, b"A"), "segment:b": Revision(1, b"B")}
    assert after.updated_at > before.updated_at
    assert await entries(client, store) == [b'{"version": 1}\n{"version": 1}\n']
    assert await store.marks() == (after.epoch, 8)


async def test_a_change_that_was_judged_by_an_old_snapshot_does_nothing(client: Redis, store: DefinitionStore) -> None:
    seen = await store.snapshot()
    assert await store.commit(seen, {"flag:a": revision(1, b"first")})

    assert not await store.commit(seen, {"flag:a": revision(1, b"second"), "flag:b": revision(1)})

    assert (await store.snapshot()).revisions == {"flag:a": Revision(1, b"first")}
    assert len(await entries(client, store)) == 1
    assert len(await store.recent_changes("flag:a")) == 1


async def test_a_deleted_definition_keeps_its_version(store: DefinitionStore) -> None:
    await store.commit(await store.snapshot(), {"flag:a": revision(1)})
    await store.commit(await store.snapshot(), {"flag:a": revision(2, b"")})

    assert (await store.snapshot()).revisions == {"flag:a": Revision(2, b"")}


async def test_the_last_hundred_changes_are_kept_newest_first(store: DefinitionStore) -> None:
    for version in range(1, 103):
        await store.commit(await store.snapshot(), {"flag:a": revision(version)})

    assert await store.recent_changes("flag:a") == [b'{"version": %d}\n' % version for version in range(102, 2, -1)]


async def test_times_of_changes_never_stand_still(store: DefinitionStore) -> None:
    times = []
    for version in range(1, 20):
        await store.commit(await store.snapshot(), {"flag:a": revision(version)})
        times.append((await store.snapshot()).updated_at)

    assert times == sorted(set(times))


async def test_a_change_is_told_to_those_who_listen(store: DefinitionStore) -> None:
    async with store.subscription() as subscription:
        await subscription.subscribe(store.channel)
        while await subscription.get_message(timeout=0.2) is not None:
            pass

        await store.commit(await store.snapshot(), {"flag:a": revision(1)})

        message = await subscription.get_message(timeout=2)
        assert message is not None
        assert message["data"] == b"8"


async def test_only_one_restores_and_only_where_nothing_is(client: Redis) -> None:
    store = store_on(client)
    known = {"flag:a": Revision(3, b"A"), "flag:gone": Revision(2, b""), "flag:unlogged": revision(5, b"U")}

    assert await store.restore(known, 40)
    assert not await store.restore({"flag:a": Revision(9, b"B")}, 90)

    snapshot = await store.snapshot()
    assert snapshot.version == 40
    assert snapshot.revisions == {name: Revision(one.version, one.document) for name, one in known.items()}
    assert await entries(client, store) == [b'{"version": 5}\n']


async def test_each_restore_is_another_epoch(client: Redis) -> None:
    epochs = set()
    for _ in range(2):
        store = store_on(client, "test_epochs")
        await store.restore({}, 1)
        epochs.add((await store.marks())[0])
        await client.delete("{test_epochs}:definitions:state")

    assert len(epochs) == 2


async def test_a_change_whose_answer_is_lost_is_made_or_unknown(client: Redis, store: DefinitionStore) -> None:
    """Where it can be seen that it was made, it is no failure."""
    seen = await store.snapshot()

    class Deaf(Redis):
        async def eval(self, *arguments: object) -> object:  # type: ignore[override]
            await super().eval(*arguments)  # type: ignore[arg-type]
            raise ConnectionError("the answer is lost")

    async with Deaf(connection_pool=client.connection_pool) as deaf:
        store._valkey = deaf
        assert await store.commit(seen, {"flag:a": revision(1)})

    async with Redis.from_url(f"redis://127.0.0.1:{free_port()}") as away:
        store._valkey = away
        with pytest.raises(OutcomeUnknown):
            await store.commit(seen, {"flag:a": revision(1)})
