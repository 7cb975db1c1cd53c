"""A copy of the access store in this process, never more than a moment old, so that judging a credential costs no I/O.

While Valkey is away the last copy goes on being used for `STALE_SECONDS`. Nothing is lost by that: a revocation is
written to Valkey, so none can be missed while it is down; the limit is for a process that alone has lost sight of it.
After that, and in a process that never saw Valkey, every credential is refused with 503: fail closed. Evaluating flags
is the exception: apps must get their answers however long Valkey is away, and an answer changes nothing.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from msgspec import MsgspecError
from redis.exceptions import RedisError

from ingest_api.auth.access_store import AccessSnapshot, AccessStore
from ingest_api.errors import AccessUnverifiable

POLL_SECONDS = 1.0
"""A revocation works in every API process after this time and one round trip."""
STALE_SECONDS = 300.0
_ANSWER_SECONDS = 2.0
_PAUSE_SECONDS = 0.2

log = structlog.get_logger(__name__)


class AccessList:
    """The current copy. `watch` keeps it fresh; `current` and `newer` read it."""

    def __init__(self, store: AccessStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._snapshot: AccessSnapshot | None = None
        self._confirmed_at = -STALE_SECONDS
        self._asked_at = -STALE_SECONDS
        self._asking = asyncio.Lock()
        self._answering = True

    def current(self, patience_seconds: float = STALE_SECONDS) -> AccessSnapshot:
        """The copy, without waiting.

        Raises:
            AccessUnverifiable: it was never read, or was not confirmed for `patience_seconds`.
        """
        if self._snapshot is None or self._clock() - self._confirmed_at > patience_seconds:
            raise AccessUnverifiable(
                "Valkey does not answer, so it cannot be known whether this credential was revoked."
            )
        return self._snapshot

    async def newer(self) -> AccessSnapshot:
        """A copy read after this call began: a credential that is not in the current one may have been issued just now.

        Callers share one reading, and readings keep a pause, so that unknown credentials cannot flood Valkey.

        Raises:
            AccessUnverifiable: Valkey does not answer.
        """
        called_at = self._clock()
        async with self._asking:
            if self._asked_at < called_at:
                await asyncio.sleep(max(0.0, self._asked_at + _PAUSE_SECONDS - self._clock()))
                if not await self.refresh():
                    raise AccessUnverifiable("Valkey does not answer, so an unknown credential cannot be checked.")
        return self.current()

    async def watch(self) -> None:
        """Refresh the copy until cancelled, through any outage of Valkey."""
        while True:
            async with self._asking:
                await self.refresh()
            await asyncio.sleep(POLL_SECONDS)

    async def refresh(self) -> bool:
        """Read what changed; False when Valkey does not answer. The log tells when that begins and ends."""
        self._asked_at = asked_at = self._clock()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                if self._snapshot is None or await self._store.version() != self._snapshot.version:
                    self._snapshot = await self._store.snapshot()
        except (RedisError, OSError, TimeoutError, MsgspecError) as error:
            if self._answering:
                log.warning("access_list_not_refreshed", reason=str(error) or type(error).__name__)
            self._answering = False
            return False
        if not self._answering:
            log.info("access_list_refreshed_again")
        self._answering = True
        self._confirmed_at = asked_at
        return True
