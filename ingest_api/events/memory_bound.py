"""The stated bound of the stream: how much memory Valkey may use before events are refused, long before it has to."""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

_LOOK_EVERY_SECONDS = 1.0
# Going on only well below the bound keeps the answer from changing with every look.
_RESUME_SHARE = 0.95

log = structlog.get_logger(__name__)


class MemoryBound:
    """Knows whether Valkey uses more memory than it should, as of about a second ago."""

    def __init__(self, redis: Redis, max_bytes: int) -> None:
        self.is_reached = False
        self._redis = redis
        self._max_bytes = max_bytes

    async def watch(self) -> None:
        """Look once a second, until cancelled. While Valkey is away the last answer stays."""
        while True:
            try:
                used_bytes = int((await self._redis.info("memory"))["used_memory"])
            except (RedisError, OSError):
                pass  # every append says so
            else:
                self._judge(used_bytes)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _judge(self, used_bytes: int) -> None:
        share = _RESUME_SHARE if self.is_reached else 1.0
        was_reached, self.is_reached = self.is_reached, used_bytes > self._max_bytes * share
        if self.is_reached != was_reached:
            event = "stream_full" if self.is_reached else "stream_takes_events_again"
            log.warning(event, used_bytes=used_bytes, max_bytes=self._max_bytes)
