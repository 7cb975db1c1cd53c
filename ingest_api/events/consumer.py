"""Reading the stream as one of several flushers: taking entries, taking over those of a dead flusher, acknowledging."""

import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import structlog
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from ingest_api.events.entries import Entry, unpack
from ingest_api.events.ownership import ACKNOWLEDGE, CLAIM, FENCE
from ingest_api.events.stream import GROUP, StreamKeys

ALIVE_SECONDS = 10.0
"""A flusher that gave no sign for so long is dead, and its entries are another's."""
_FETCH_ENTRIES = 16
_ALL = 1_000_000

log = structlog.get_logger(__name__)


class Intent(msgspec.Struct, frozen=True):
    """What a flusher wrote down before it inserted: these entries, in this order, under this token."""

    token: str
    consumer: str
    entry_ids: list[str]


class StreamConsumer:
    """One member of the consumer group. Every method may raise `redis.exceptions.RedisError`."""

    def __init__(self, redis: Redis, keys: StreamKeys, alive_seconds: float = ALIVE_SECONDS) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.may_have_unseen = False
        """Whether entries may be pending here that this process does not know of, because an answer got lost."""
        self._redis = redis
        self._keys = keys
        self._alive_seconds = alive_seconds
        self._alive_key = keys.flusher_prefix + self.name
        self._claim, self._fence, self._acknowledge = map(redis.register_script, (CLAIM, FENCE, ACKNOWLEDGE))

    def join(self) -> None:
        """Make sure that the group exists; a group made now begins with the oldest entry."""
        try:
            self._redis.xgroup_create(self._keys.events, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            # A server whose memory is full refuses also what would change nothing.
            if "BUSYGROUP" not in str(error) and not self._redis.xinfo_groups(self._keys.events):
                raise

    def read(self, max_entries: int, wait_seconds: float) -> list[Entry]:
        """Take new entries, in order; waits up to `wait_seconds` for the first one (0: does not wait)."""
        wait_ms = max(1, int(wait_seconds * 1000)) if wait_seconds else None
        try:
            streams: Any = self._redis.xreadgroup(
                GROUP, self.name, {self._keys.events: ">"}, count=max_entries, block=wait_ms
            )
        except (RedisError, OSError) as error:
            if "NOGROUP" in str(error):
                self.join()  # Valkey was emptied
                return []
            self.may_have_unseen = True
            raise
        return [unpack(entry_id, fields) for _, entries in streams or () for entry_id, fields in entries]

    def claim_abandoned(self) -> int:
        """Take over the entries of flushers that died, and answer how many. Whether they are stored is unknown."""
        try:
            consumers = self._redis.xinfo_consumers(self._keys.events, GROUP)
        except ResponseError:
            self.join()  # Valkey was emptied
            return 0
        claimed = 0
        for consumer in consumers:
            name = consumer["name"].decode()
            if name == self.name or self._redis.exists(self._keys.flusher_prefix + name):
                continue
            self.may_have_unseen = True
            claimed += int(
                self._claim(keys=[self._keys.events, self._keys.flusher_prefix + name], args=[GROUP, name, self.name])
            )
        if claimed:
            log.warning("entries_of_dead_flushers_claimed", entries=claimed)
        return claimed

    def pending_ids(self) -> list[bytes]:
        """Ids of all entries that are this consumer's, in order."""
        pending: Any = self._redis.xpending_range(self._keys.events, GROUP, "-", "+", _ALL, consumername=self.name)
        return [one["message_id"] for one in pending]

    def intents(self) -> list[Intent]:
        """What this or another flusher was about to insert when it was last heard of."""
        written: Any = self._redis.hvals(self._keys.intents)
        return [msgspec.json.decode(intent, type=Intent) for intent in written]

    def fetch(self, entry_ids: Sequence[bytes]) -> Iterator[Entry]:
        """Read entries again, some at a time; those that are gone are left out."""
        for start in range(0, len(entry_ids), _FETCH_ENTRIES):
            with self._redis.pipeline(transaction=False) as asking:
                for entry_id in entry_ids[start : start + _FETCH_ENTRIES]:
                    asking.xrange(self._keys.events, entry_id, entry_id)
                answers = asking.execute()
            for answer in answers:
                yield from (unpack(entry_id, fields) for entry_id, fields in answer)

    def fence(self, token: str, entry_ids: Sequence[bytes]) -> set[bytes]:
        """Write down that these entries, in order, are about to be inserted under this token.

        Answers which of them are another's by now; if there are any, nothing is written down.
        """
        intent = msgspec.json.encode(Intent(token, self.name, [entry_id.decode() for entry_id in entry_ids]))
        try:
            lost: Any = self._fence(
                keys=[self._keys.events, self._keys.intents], args=[GROUP, self.name, token, intent, *entry_ids]
            )
        except ResponseError as error:
            if "NOGROUP" in str(error):
                return set()  # Valkey was emptied: nobody else has them
            raise
        return set(lost)

    def acknowledge(self, token: str, entry_ids: Sequence[bytes]) -> None:
        """Remove entries, and the intent to insert them, for good."""
        self._acknowledge(keys=[self._keys.events, self._keys.intents], args=[GROUP, token, *entry_ids])

    def bury(self, fields: Mapping[bytes, bytes], reason: str) -> None:
        """Keep what no table will ever take where an operator finds it: in the log when Valkey has no room."""
        kept: Any = {**fields, b"reason": reason}
        try:
            self._redis.xadd(self._keys.dead_letters, kept)
        except OutOfMemoryError:
            log.error("dead_letter", **{name.decode(errors="replace"): value for name, value in fields.items()})

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
