"""Reading the stream as one of several flushers: taking entries, taking over those of a dead flusher, acknowledging."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from ingest_api.events.stream import ENTRY_COUNT, ENTRY_LINES, GROUP, StreamKeys, entry_time

ALIVE_SECONDS = 10.0
"""A flusher that gave no sign for so long is dead, and its entries are another's."""
_CLAIM_IDLE_MS = 1000
_CLAIM_ENTRIES = 64
_FORGET_IDLE_MS = 3_600_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream: the events of one group commit."""

    entry_id: bytes
    count: int
    lines: bytes
    """One JSON object with the columns of `raw.events` per line; empty when the entry is not of this service."""
    fields: dict[bytes, bytes]

    @property
    def written_at(self) -> float:
        """When it was appended, in seconds since 1970 by Valkey's clock."""
        return entry_time(self.entry_id)


class StreamConsumer:
    """One member of the consumer group. Every method may raise `redis.exceptions.RedisError`."""

    def __init__(self, redis: Redis, keys: StreamKeys, alive_seconds: float = ALIVE_SECONDS) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._redis = redis
        self._keys = keys
        self._alive_seconds = alive_seconds
        self._alive_key = keys.flusher_prefix + self.name
        self._beat_at: float | None = None
        self._has_lapsed = False
        self._may_have_unseen = False

    def join(self) -> None:
        """Make sure that the group exists; a group made now begins with the oldest entry."""
        try:
            self._redis.xgroup_create(self._keys.events, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self, max_entries: int, wait_seconds: float) -> list[Entry]:
        """Take new entries, in order; waits up to `wait_seconds` for the first one (0: does not wait)."""
        wait_ms = max(1, int(wait_seconds * 1000)) if wait_seconds else None
        return self._read(">", max_entries, wait_ms)

    def read_unseen(self, max_entries: int) -> list[Entry]:
        """Entries that were given to this consumer in an answer that got lost. To be called while it holds none."""
        if not self._may_have_unseen:
            return []
        entries = self._read("0", max_entries, None)
        self._may_have_unseen = bool(entries)
        return entries

    def claim_abandoned(self) -> list[Entry]:
        """Take over some entries of flushers that died. Whether they are in the warehouse already is unknown."""
        entries: list[Entry] = []
        for consumer in self._redis.xinfo_consumers(self._keys.events, GROUP):
            name = consumer["name"].decode()
            if name == self.name or self._redis.exists(self._keys.flusher_prefix + name):
                continue
            if not consumer["pending"]:
                # Not at once: one that just woke up could take an entry between this look and the removal.
                if consumer["idle"] > _FORGET_IDLE_MS:
                    self._redis.xgroup_delconsumer(self._keys.events, GROUP, name)
                continue
            pending = self._redis.xpending_range(self._keys.events, GROUP, "-", "+", _CLAIM_ENTRIES, consumername=name)
            ids: list[Any] = [one["message_id"] for one in pending]
            # Claiming makes an entry young again, so only one of several claimers gets it.
            claimed: Any = self._redis.xclaim(self._keys.events, GROUP, self.name, _CLAIM_IDLE_MS, ids)
            entries.extend(_entry(entry_id, fields) for entry_id, fields in claimed)
        if entries:
            log.warning("entries_of_dead_flushers_claimed", entries=len(entries))
        return entries

    def acknowledge(self, entries: list[Entry]) -> None:
        """Remove entries from the stream for good."""
        ids = [entry.entry_id for entry in entries]
        with self._redis.pipeline(transaction=True) as changes:
            changes.xack(self._keys.events, GROUP, *ids)
            changes.xdel(self._keys.events, *ids)
            changes.execute()

    def bury(self, fields: dict[Any, Any], reason: str) -> None:
        """Keep what the warehouse will never take where an operator finds it."""
        self._redis.xadd(self._keys.dead_letters, {**fields, "reason": reason})

    def may_have_been_replaced(self) -> bool:
        """Whether since the last call this process gave no sign for so long that its entries may be another's now."""
        has_lapsed, self._has_lapsed = self._has_lapsed or self._is_silent(), False
        return has_lapsed

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Show the other flushers that this one lives, from a thread of its own, while the context is open."""
        self._beat()
        leaving = threading.Event()
        thread = threading.Thread(target=self._beat_until, args=(leaving,), name="flusher-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            leaving.set()
            thread.join()
            with suppress(RedisError, OSError):
                self._redis.delete(self._alive_key)

    def _beat_until(self, leaving: threading.Event) -> None:
        while not leaving.wait(self._alive_seconds / 4):
            self._beat()

    def _beat(self) -> None:
        milliseconds = int(self._alive_seconds * 1000)
        with suppress(RedisError, OSError):
            # A server whose memory is full still prolongs, while it refuses to set.
            if not self._redis.pexpire(self._alive_key, milliseconds):
                self._redis.set(self._alive_key, 1, px=milliseconds)
            self._has_lapsed = self._has_lapsed or (self._beat_at is not None and self._is_silent())
            self._beat_at = time.monotonic()

    def _is_silent(self) -> bool:
        return self._beat_at is None or time.monotonic() - self._beat_at > self._alive_seconds

    def _read(self, from_id: str, max_entries: int, wait_ms: int | None) -> list[Entry]:
        try:
            streams: Any = self._redis.xreadgroup(
                GROUP, self.name, {self._keys.events: from_id}, count=max_entries, block=wait_ms
            )
        except (RedisError, OSError) as error:
            if "NOGROUP" in str(error):
                self.join()  # Valkey was emptied
                return []
            self._may_have_unseen = True
            raise
        return [_entry(entry_id, fields) for _, entries in streams or () for entry_id, fields in entries]


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    count, lines = fields.get(ENTRY_COUNT, b""), fields.get(ENTRY_LINES, b"")
    if not count.isdigit() or not lines:
        return Entry(entry_id, 0, b"", fields)
    return Entry(entry_id, int(count), lines, fields)
