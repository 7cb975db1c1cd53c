"""Sticky buckets in Valkey: what users were assigned, for as long as they keep coming."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from redis.asyncio import Redis

from flags.hashing import hash_text
from flags.sticky_buckets import StickyBuckets, document_key

KEPT_SECONDS = 180 * 86_400
"""How long a user's assignments are kept after the last one."""


class StickyStore:
    """The sticky buckets of one environment. Every method may raise `redis.RedisError`."""

    def __init__(self, valkey: Redis, environment: str) -> None:
        self._valkey = valkey
        self._prefix = f"{{{environment}}}:sticky:"

    async def load(self, attributes: Mapping[str, Any], names: Iterable[str]) -> StickyBuckets:
        """What is known of a user by the attributes of these names."""
        keys = [document_key(name, text) for name in names if (text := hash_text(attributes.get(name)))]
        if not keys:
            return StickyBuckets()
        found = await self._valkey.mget([self._prefix + key for key in keys])
        return StickyBuckets.of(msgspec.json.decode(one) for one in found if one is not None)

    async def save(self, buckets: StickyBuckets) -> None:
        """Keep what has changed."""
        async with self._valkey.pipeline(transaction=False) as writing:
            for key, document in buckets.changed.items():
                writing.set(self._prefix + key, msgspec.json.encode(document), ex=KEPT_SECONDS)
            await writing.execute()
