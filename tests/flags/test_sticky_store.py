"""Sticky buckets in a real Valkey."""

import secrets
from collections.abc import AsyncIterator

import pytest_asyncio
from redis.asyncio import Redis

from flags.sticky_store import KEPT_SECONDS, StickyStore
from tests.conftest import Valkey


@pytest_asyncio.fixture
async def client(valkey: Valkey) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey.url) as client:
        yield client


async def test_what_was_saved_is_loaded_by_any_of_its_attributes(client: Redis) -> None:
    store = StickyStore(client, f"test_{secrets.token_hex(4)}")
    user = {"id": "ada", "device": 7.0, "country": "US"}
    buckets = await store.load(user, ["id", "device"])
    assert (buckets.documents, buckets.changed) == ({}, {})

    buckets.assign("id", "ada", "checkout__0", "blue")
    buckets.assign("device", "7", "search__1", "on")
    await store.save(buckets)

    both = await store.load(user, ["id", "device"])
    assert both.assignments(["id||ada", "device||7"]) == {"checkout__0": "blue", "search__1": "on"}
    assert both.changed == {}
    assert (await store.load(user, ["id"])).documents.keys() == {"id||ada"}
    assert (await store.load({"id": "bob"}, ["id", "device"])).documents == {}
    assert (await store.load({}, ["id"])).documents == {}


async def test_two_requests_of_one_user_do_not_undo_each_others_assignments(client: Redis) -> None:
    store = StickyStore(client, f"test_{secrets.token_hex(4)}")
    user = {"id": "ada"}
    one, other = await store.load(user, ["id"]), await store.load(user, ["id"])
    one.assign("id", "ada", "checkout__0", "blue")
    other.assign("id", "ada", "search__0", "on")

    await store.save(one)
    await store.save(other)

    kept = (await store.load(user, ["id"])).assignments(["id||ada"])
    assert kept == {"checkout__0": "blue", "search__0": "on"}


async def test_assignments_are_kept_for_half_a_year(client: Redis) -> None:
    environment = f"test_{secrets.token_hex(4)}"
    store = StickyStore(client, environment)
    buckets = await store.load({"id": "ada"}, ["id"])
    buckets.assign("id", "ada", "checkout__0", "blue")

    await store.save(buckets)

    assert KEPT_SECONDS - 60 < await client.ttl(f"{{{environment}}}:sticky:id||ada") <= KEPT_SECONDS
