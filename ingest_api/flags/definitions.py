"""The definitions as one API process knows them: a copy in memory, compiled, that follows Valkey.

A change reaches the copy by a message; should one be missed, by the number of the snapshot, which is asked for again
and again. While Valkey is away the copy goes on answering, and says how old it is. A Valkey that has lost data gets
back what the warehouse and this copy know.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
import structlog
from redis.exceptions import RedisError

from flags.codec import decode_flag, decode_segment
from flags.experiment_codec import decode_experiment
from flags.experiment_model import Experiment
from flags.model import Flag, Segment
from flags.problems import DefinitionInvalid
from flags.redis_store import LOST, DefinitionStore, OutcomeUnknown, Revision, Snapshot
from flags.ruleset import Ruleset
from ingest_api.errors import DefinitionsAway, WarehouseAway
from ingest_api.flags.change_log import ChangeLog
from ingest_api.flags.changes import restored_row
from warehouse.client import StatementRefused

FLAG, SEGMENT, EXPERIMENT, SCHEDULED_CHANGE = "flag", "segment", "experiment", "scheduled_change"
"""Kinds of definitions: the first part of a name, as in `flag:new_checkout`."""
Definition: TypeAlias = Flag | Segment | Experiment
_POLL_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_LISTEN_AGAIN_SECONDS = 0.1
_RESTORE_SECONDS = 5.0
_RESTORE_AGAIN_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Copy:
    """The definitions at one moment."""

    snapshot: Snapshot
    ruleset: Ruleset
    """Flags and segments, compiled."""
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    """By key."""


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
        self.is_kept = False
        """Whether Valkey had definitions when it was asked last; without them nothing can be changed."""
        self._changes = changes
        self._stale_after_seconds = stale_after_seconds
        self._clock = clock
        self._confirmed_at: float | None = None
        self._not_restored_at = -_RESTORE_AGAIN_SECONDS
        self._answering = True
        self._is_message_missing = False
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()
        self._decoded: dict[str, tuple[Revision, Definition]] = {}

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
    def known(self) -> Copy:
        """The copy.

        Raises:
            DefinitionsAway: there never was one.
        """
        if not self.current.snapshot.epoch:
            raise DefinitionsAway(
                "This process has not read the definitions yet; neither Valkey nor ClickHouse has them."
            )
        return self.current

    @property
    def ruleset(self) -> Ruleset:
        """Flags and segments of the copy. Raises `DefinitionsAway` as `known` does."""
        return self.known.ruleset

    async def next_change(self) -> Copy:
        """Wait until there is another copy than now."""
        await self._changed.wait()
        return self.current

    async def watch(self) -> None:
        """Look at the number of the snapshot until cancelled, through any outage of Valkey."""
        while True:
            known = self.current
            await self.refresh()
            # No message told of this change: perhaps none comes any more.
            self._is_message_missing = self.current is not known
            await asyncio.sleep(min(_POLL_SECONDS, self._stale_after_seconds))

    async def listen(self) -> None:
        """Read anew at each message of a change until cancelled, through any outage of Valkey."""
        while True:
            with suppress(RedisError, OSError):
                async with self.store.subscription() as subscription:
                    await subscription.subscribe(self.store.channel)
                    self._is_message_missing = False
                    while not self._is_message_missing:
                        if await subscription.get_message(timeout=_POLL_SECONDS) is not None:
                            await self.refresh()
            await asyncio.sleep(_LISTEN_AGAIN_SECONDS)

    async def refresh(self) -> bool:
        """Read what has changed; False when Valkey does not answer. The log tells when that begins and ends."""
        async with self._reading:
            asked_at = self._clock()
            try:
                if not await self._read():
                    await self._restore()
                    await self._read()
            except (RedisError, OSError, TimeoutError, OutcomeUnknown) as error:
                if self._answering:
                    log.warning("definitions_not_refreshed", reason=str(error) or type(error).__name__)
                self._answering = False
                return False
            if not self._answering:
                log.info("definitions_refreshed_again")
            self._answering = True
            if self.is_kept:
                self._confirmed_at = asked_at
            return True

    async def _read(self) -> bool:
        """Whether Valkey has definitions; takes them when they are others than those of the copy."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            epoch, version = await self.store.marks()
            self.is_kept = bool(epoch)
            known = self.current.snapshot
            if self.is_kept and (epoch, version) != (known.epoch, known.version):
                self._take(await self._with_what_is_missing(await self.store.snapshot()))
        return self.is_kept

    async def _with_what_is_missing(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, with what this process has seen and Valkey has lost put back.

        A version never goes back by itself: a restore by a process that had not seen the last change, or a replica
        that had not either, can do it.
        """
        missing = self._newer_than(snapshot.revisions)
        if not snapshot.epoch or not missing or not await self.store.commit(snapshot, missing):
            return snapshot
        log.warning("definitions_put_back", names=sorted(missing))
        return await self.store.snapshot()

    def _newer_than(self, stored: Mapping[str, Revision]) -> dict[str, Revision]:
        """What this process has seen at a later version than the stored one, each with a row for the audit trail."""
        return {
            name: Revision(revision.version, revision.document, restored_row(name, revision))
            for name, revision in self.current.snapshot.revisions.items()
            if name not in stored or stored[name].version < revision.version
        }

    def _take(self, snapshot: Snapshot) -> None:
        if snapshot.epoch:
            self.current = self._compiled(snapshot)
            self._changed.set()
            self._changed = asyncio.Event()

    def _compiled(self, snapshot: Snapshot) -> Copy:
        decoded: dict[str, tuple[Revision, Definition]] = {}
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
            {one.key: one for one in definitions if isinstance(one, Experiment)},
        )

    async def _restore(self) -> None:
        """Put back what the warehouse and this process know. Does nothing where the warehouse does not answer."""
        if self._clock() - self._not_restored_at < _RESTORE_AGAIN_SECONDS:
            return
        try:
            logged = await self._changes.latest(_RESTORE_SECONDS)
        except (WarehouseAway, StatementRefused) as error:
            log.warning("definitions_not_restored", reason=str(error))
            self._not_restored_at = self._clock()
            return
        # What came last may have been in the stream that is gone too.
        revisions = {**logged, **self._newer_than(logged)}
        version = self.current.snapshot.version + sum(one.version for one in revisions.values()) + 1
        async with asyncio.timeout(_ANSWER_SECONDS):
            if await self.store.restore(revisions, version):
                log.info("definitions_restored", count=len(revisions))


def name_of(kind: str, key: str) -> str:
    """Under which name the store has a definition."""
    return f"{kind}:{key}"


def kind_of(name: str) -> str:
    """The kind of a definition, by its name."""
    return name.partition(":")[0]


_DECODE: Mapping[str, Callable[[Any], Definition]] = {
    FLAG: decode_flag,
    SEGMENT: decode_segment,
    EXPERIMENT: decode_experiment,
}
