"""Sticky buckets in Valkey: what users were assigned, for as long as they keep coming."""

from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio import Redis

from flags.hashing import hash_text
from flags.sticky_buckets import StickyBuckets, document_key

KEPT_SECONDS = 180 * 86_400
"""How long a user's assignments are kept after the last one."""


class StickyStore:
    """The sticky buckets of one environment. Every method may raise `redis.RedisError`.

    Each assignment is a field of its own, so that two requests of one user at once do not undo each other's.
    """

    def __init__(self, valkey: Redis, environment: str) -> None:
        self._valkey = valkey
        self._prefix = f"{{{environment}}}:sticky:"

    async def load(self, attributes: Mapping[str, Any], names: Iterable[str]) -> StickyBuckets:
        """What is known of a user by the attributes of these names."""
        known = [(name, text) for name in names if (text := hash_text(attributes.get(name)))]
        if not known:
            return StickyBuckets()
        async with self._valkey.pipeline(transaction=False) as reading:
            for name, text in known:
                reading.hgetall(self._prefix + document_key(name, text))
            found = await reading.execute()
        return StickyBuckets.of(
            {
                "attributeName": name,
                "attributeValue": text,
                "assignments": {experiment.decode(): variation.decode() for experiment, variation in one.items()},
            }
            for (name, text), one in zip(known, found, strict=True)
            if one
        )

    async def save(self, buckets: StickyBuckets) -> None:
        """Keep what has changed."""
        async with self._valkey.pipeline(transaction=False) as writing:
            for key, document in buckets.changed.items():
                writing.hset(self._prefix + key, mapping=document["assignments"])
                writing.expire(self._prefix + key, KEPT_SECONDS)
            await writing.execute()
