"""The definitions as one API process knows them: a copy in memory, compiled, that follows Valkey.

A change reaches the copy by a message; should one be missed, by the number of the snapshot, which is asked for again
and again. While Valkey is away the copy goes on answering, and says how old it is. A Valkey that has lost data gets
back what the warehouse and this copy know.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from redis.exceptions import RedisError

from flags.codec import decode_flag, decode_segment
from flags.model import Flag, Segment
from flags.problems import DefinitionInvalid
from flags.redis_store import LOST, DefinitionStore, Revision, Snapshot
from flags.ruleset import Ruleset
from ingest_api.errors import DefinitionsAway, WarehouseAway
from ingest_api.flags.change_log import ChangeLog
from ingest_api.flags.changes import restored_row
from warehouse.client import StatementRefused

FLAG, SEGMENT, SCHEDULED_CHANGE = "flag", "segment", "scheduled_change"
"""Kinds of definitions: the first part of a name, as in `flag:new_checkout`."""
_POLL_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_RESTORE_AGAIN_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Copy:
    """The definitions at one moment."""

    snapshot: Snapshot
    ruleset: Ruleset
    """Flags and segments, compiled."""


EMPTY = Copy(LOST, Ruleset())


class Definitions:
    """The current copy. `watch` and `listen` keep it fresh; `current` reads it."""

    def __init__(
        self,
        store: DefinitionStore,
        changes: ChangeLog,
        stale_after_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.current = EMPTY
        self._changes = changes
        self._stale_after_seconds = stale_after_seconds
        self._clock = clock
        self._confirmed_at: float | None = None
        self._restored_at = -_RESTORE_AGAIN_SECONDS
        self._answering = True
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()
        self._decoded: dict[str, tuple[Revision, Flag | Segment]] = {}

    @property
    def age_seconds(self) -> float | None:
        """How long ago the copy was known to be what Valkey has; None when it never was."""
        return None if self._confirmed_at is None else self._clock() - self._confirmed_at

    @property
    def is_stale(self) -> bool:
        """Whether the copy may be older than `FEATURE_FLAGS_CACHE_TTL` allows."""
        age = self.age_seconds
        return age is None or age > self._stale_after_seconds

    @property
    def ruleset(self) -> Ruleset:
        """Flags and segments of the copy.

        Raises:
            DefinitionsAway: there never was one.
        """
        if not self.current.snapshot.epoch:
            raise DefinitionsAway(
                "This process has not read the definitions yet; neither Valkey nor ClickHouse has them."
            )
        return self.current.ruleset

    async def next_change(self) -> Copy:
        """Wait until there is another copy than now."""
        await self._changed.wait()
        return self.current

    async def watch(self) -> None:
        """Look at the number of the snapshot until cancelled, through any outage of Valkey."""
        while True:
            await self.refresh()
            await asyncio.sleep(min(_POLL_SECONDS, self._stale_after_seconds))

    async def listen(self) -> None:
        """Read anew at each message of a change until cancelled, through any outage of Valkey."""
        while True:
            with suppress(RedisError, OSError):
                async with self.store.subscription() as subscription:
                    await subscription.subscribe(self.store.channel)
                    while True:
                        if await subscription.get_message(timeout=None) is not None:
                            await self.refresh()
            await asyncio.sleep(_POLL_SECONDS)

    async def refresh(self) -> bool:
        """Read what has changed; False when Valkey does not answer. The log tells when that begins and ends."""
        async with self._reading:
            asked_at = self._clock()
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._read()
            except (RedisError, OSError, TimeoutError) as error:
                if self._answering:
                    log.warning("definitions_not_refreshed", reason=str(error) or type(error).__name__)
                self._answering = False
                return False
            if not self._answering:
                log.info("definitions_refreshed_again")
            self._answering = True
            if self.current.snapshot.epoch:
                self._confirmed_at = asked_at
            return True

    async def _read(self) -> None:
        epoch, version = await self.store.marks()
        if not epoch:
            await self._restore()
            epoch, version = await self.store.marks()
        known = self.current.snapshot
        if epoch and (epoch, version) != (known.epoch, known.version):
            self._take(await self.store.snapshot())

    def _take(self, snapshot: Snapshot) -> None:
        if snapshot.epoch:
            self.current = self._compiled(snapshot)
            self._changed.set()
            self._changed = asyncio.Event()

    def _compiled(self, snapshot: Snapshot) -> Copy:
        decoded: dict[str, tuple[Revision, Flag | Segment]] = {}
        for name, revision in snapshot.revisions.items():
            kind = kind_of(name)
            if not revision.document or kind not in _DECODE:
                continue
            known = self._decoded.get(name)
            if known is not None and revision.is_same(known[0]):
                decoded[name] = known
                continue
            try:
                decoded[name] = revision, _DECODE[kind](msgspec.json.decode(revision.document))
            except (DefinitionInvalid, msgspec.MsgspecError):
                # Written by another version of this service. The others must go on being answered.
                log.exception("definition_unreadable", name=name)
        self._decoded = decoded
        definitions = [one for _, one in decoded.values()]
        return Copy(
            snapshot,
            Ruleset(
                (one for one in definitions if isinstance(one, Flag)),
                (one for one in definitions if isinstance(one, Segment)),
                snapshot.version,
            ),
        )

    async def _restore(self) -> None:
        if self._clock() - self._restored_at < _RESTORE_AGAIN_SECONDS:
            return
        self._restored_at = self._clock()
        try:
            logged = await self._changes.latest()
        except (WarehouseAway, StatementRefused) as error:
            log.warning("definitions_not_restored", reason=str(error))
            return
        own = self.current.snapshot
        revisions = dict(logged)
        for name, revision in own.revisions.items():
            stored = logged.get(name)
            if stored is None or stored.version < revision.version:
                # The stream that held it is gone too.
                revisions[name] = Revision(revision.version, revision.document, restored_row(name, revision))
        version = own.version + sum(one.version for one in revisions.values()) + 1
        if await self.store.restore(revisions, version):
            log.info("definitions_restored", count=len(revisions))


def name_of(kind: str, key: str) -> str:
    """Under which name the store has a definition."""
    return f"{kind}:{key}"


def kind_of(name: str) -> str:
    """The kind of a definition, by its name."""
    return name.partition(":")[0]


_DECODE: Mapping[str, Callable[[Any], Flag | Segment]] = {FLAG: decode_flag, SEGMENT: decode_segment}
