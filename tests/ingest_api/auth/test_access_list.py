"""How fresh a process's copy of the access store is, and what it does when it cannot be."""

import math
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from ingest_api.auth.access_list import STALE_SECONDS, AccessList
from ingest_api.auth.access_store import AccessStore, UnknownCredential
from ingest_api.auth.write_keys import new_write_key
from ingest_api.errors import AccessUnverifiable
from ingest_api.services import valkey_client
from local_stack.processes import free_port
from tests.conftest import Valkey
from tests.ingest_api.serving import api_settings, claims_for

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    async with valkey_client(api_settings(valkey.url)) as client:
        yield client


@pytest.fixture
def store(redis: Redis) -> AccessStore:
    return AccessStore(redis, f"test_{secrets.token_hex(4)}")


def unreachable_store() -> AccessStore:
    return AccessStore(valkey_client(api_settings(f"redis://127.0.0.1:{free_port()}")), "test")


async def test_list_has_what_was_issued_and_revoked(store: AccessStore) -> None:
    _, key = new_write_key("web", "shop", NOW)
    claims = claims_for()
    await store.add_key(key)
    await store.add_token(claims, NOW)
    await store.revoke_key(key.key_id, NOW)
    await store.revoke_token(claims.token_id, NOW)
    access = AccessList(store)

    await access.refresh()

    found = access.current()
    assert found.keys_by_digest[key.digest] == key
    assert found.is_key_revoked(key.key_id)
    assert found.is_token_revoked(claims.token_id)
    assert not found.is_token_revoked(key.key_id)


async def test_list_notices_a_revocation_at_its_next_refresh(store: AccessStore) -> None:
    claims = claims_for()
    await store.add_token(claims, NOW)
    access = AccessList(store)
    await access.refresh()
    assert not access.current().is_token_revoked(claims.token_id)

    await store.revoke_token(claims.token_id, NOW)
    await access.refresh()

    assert access.current().is_token_revoked(claims.token_id)


async def test_newer_list_has_a_key_that_was_issued_just_now(store: AccessStore) -> None:
    access = AccessList(store)
    await access.refresh()
    _, key = new_write_key("web", "", NOW)
    await store.add_key(key)

    found = await access.newer()

    assert key.digest in found.keys_by_digest


async def test_list_is_closed_when_valkey_was_never_seen() -> None:
    access = AccessList(unreachable_store())

    refreshed = await access.refresh()

    assert not refreshed
    with pytest.raises(AccessUnverifiable):
        access.current()


async def test_list_goes_on_with_its_copy_for_a_while_when_valkey_is_away(store: AccessStore) -> None:
    clock = Clock()
    access = AccessList(store, clock)
    await access.refresh()
    access._store = unreachable_store()

    clock.now += STALE_SECONDS - 1
    assert not await access.refresh()
    copy = access.current()
    clock.now += 2

    assert copy.version == 0
    assert access.current(patience_seconds=math.inf) is copy
    with pytest.raises(AccessUnverifiable):
        access.current()
    with pytest.raises(AccessUnverifiable):
        await access.newer()


async def test_store_refuses_to_revoke_what_was_never_issued(store: AccessStore) -> None:
    with pytest.raises(UnknownCredential):
        await store.revoke_token("nothing", NOW)
    with pytest.raises(UnknownCredential):
        await store.revoke_key("nothing", NOW)


async def test_store_keeps_no_secret(store: AccessStore, redis: Redis) -> None:
    secret, key = new_write_key("web", "", NOW)
    await store.add_key(key)

    stored = [await redis.hgetall(name) for name in await redis.keys("{test_*}:access:keys")]

    assert key.digest in str(stored)
    assert secret not in str(stored)


async def test_store_keeps_the_first_time_of_a_revocation(store: AccessStore) -> None:
    claims = claims_for()
    await store.add_token(claims, NOW)

    await store.revoke_token(claims.token_id, NOW)
    await store.revoke_token(claims.token_id, datetime(2027, 1, 1, tzinfo=UTC))

    [token] = await store.tokens()
    assert token.revoked_at == NOW


async def test_store_forgets_tokens_a_month_after_they_expired(store: AccessStore) -> None:
    old, new = claims_for(), claims_for()
    await store.add_token(old, NOW)
    await store.revoke_token(old.token_id, NOW)

    await store.add_token(new, datetime(2100, 1, 1, tzinfo=UTC))

    assert [token.claims for token in await store.tokens()] == [new]
