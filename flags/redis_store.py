"""Definitions in Valkey: versioned documents that change together with the event stream, or not at all.

A change is judged by a snapshot of all definitions. One script compares the snapshot's number, writes the documents,
raises the number, appends the rows of the audit trail to the event stream and tells every API process: nothing can come
between these steps, and a change that was judged by an old snapshot does nothing.

A Valkey that has lost its data has no epoch. Nothing can be written then until `restore` has put back what the
warehouse and the API processes still know, under a new epoch.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

_COMMIT = """
local seen = redis.call('HMGET', KEYS[3], 'epoch', 'version')
if seen[1] ~= ARGV[3] or seen[2] ~= ARGV[4] then return 0 end
local rows = {}
for i = 5, #ARGV, 4 do
  if ARGV[i + 2] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  end
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('LPUSH', ARGV[2] .. ARGV[i], ARGV[i + 3])
  redis.call('LTRIM', ARGV[2] .. ARGV[i], 0, 99)
  rows[#rows + 1] = ARGV[i + 3]
end
local version = redis.call('HINCRBY', KEYS[3], 'version', 1)
redis.call('XADD', KEYS[4], '*', 'n', '0', 'definition_changes', table.concat(rows))
local now, before = redis.call('TIME'), tonumber(redis.call('HGET', KEYS[3], 'updated_ms'))
redis.call('HSET', KEYS[3], 'updated_ms', math.max(before + 1, now[1] * 1000 + math.floor(now[2] / 1000)))
redis.call('PUBLISH', ARGV[1], version)
return 1
"""
_RESTORE = """
if redis.call('HEXISTS', KEYS[3], 'epoch') == 1 then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
local rows = {}
for i = 5, #ARGV, 4 do
  if ARGV[i + 2] ~= '' then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  if ARGV[i + 3] ~= '' then rows[#rows + 1] = ARGV[i + 3] end
end
if #rows > 0 then redis.call('XADD', KEYS[4], '*', 'n', '0', 'definition_changes', table.concat(rows)) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[3], 'epoch', ARGV[3], 'version', ARGV[4], 'updated_ms', now)
redis.call('PUBLISH', ARGV[1], ARGV[4])
return 1
"""


class OutcomeUnknown(Exception):
    """Valkey did not answer: the change may have been made, or may still be."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One definition at one version."""

    version: int
    """Grows by one with each change of the definition, its deletion included."""
    document: bytes
    """JSON; empty when it is deleted."""
    row: bytes = b""
    """The change that made it, for the audit trail: a line of JSON for `raw.definition_changes`. Given when writing."""

    def is_same(self, other: "Revision | None") -> bool:
        """Whether the other one is stored as this one was written."""
        return other is not None and (self.version, self.document) == (other.version, other.document)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All definitions at one moment."""

    epoch: str
    """Another one after each loss of Valkey's data; empty when they are lost."""
    version: int
    """Number of changes so far."""
    revisions: Mapping[str, Revision]
    """By name, for example `flag:new_checkout`; deleted ones too."""
    updated_at: datetime
    """When it was written; later with each change."""


LOST = Snapshot("", 0, {}, datetime(1970, 1, 1, tzinfo=UTC))


class DefinitionStore:
    """The definitions of one environment. Every method may raise `redis.RedisError` where nothing else is said."""

    def __init__(self, valkey: Redis, environment: str, stream_key: str) -> None:
        """`stream_key` is that of the event stream, on the same node of a cluster."""
        self._valkey = valkey
        stem = f"{{{environment}}}:definitions"
        self._channel = f"{stem}:changed"
        self._history = f"{stem}:history:"
        self._keys = (f"{stem}:documents", f"{stem}:versions", f"{stem}:state", stream_key)

    async def marks(self) -> tuple[str, int]:
        """Epoch and version of the snapshot; an empty epoch when Valkey has lost it."""
        marks: list[Any] = await self._valkey.hmget(self._keys[2], ["epoch", "version"])
        epoch, version = marks
        return (epoch.decode(), int(version)) if epoch else ("", 0)

    async def snapshot(self) -> Snapshot:
        """Everything, read at one moment."""
        async with self._valkey.pipeline(transaction=True) as reading:
            reading.hmget(self._keys[2], ["epoch", "version", "updated_ms"])
            reading.hgetall(self._keys[0])
            reading.hgetall(self._keys[1])
            (epoch, version, updated_ms), documents, versions = await reading.execute()
        if not epoch:
            return LOST
        revisions = {
            name.decode(): Revision(int(number), documents.get(name, b"")) for name, number in versions.items()
        }
        updated_at = datetime.fromtimestamp(int(updated_ms) / 1000, UTC)
        return Snapshot(epoch.decode(), int(version), revisions, updated_at)

    async def commit(self, seen: Snapshot, revisions: Mapping[str, Revision]) -> bool:
        """Make all changes, or none; False when anything has changed since `seen`, and nothing was written.

        Args:
            seen: what the caller has judged the changes by.
            revisions: the definitions that change, by name, each one version on.

        Raises:
            OutcomeUnknown: it may or may not have happened.
        """
        try:
            return await self._run(_COMMIT, self._history, seen.epoch, seen.version, revisions)
        except (RedisError, OSError) as error:
            if await self._has(revisions):
                return True
            raise OutcomeUnknown(str(error)) from error

    async def restore(self, revisions: Mapping[str, Revision], version: int) -> bool:
        """Put definitions into a Valkey that has none, under a new epoch; False when another process was faster.

        Args:
            revisions: everything that is still known, by name; with a row where the audit trail lacks it.
            version: a number for the snapshot that no process has seen yet.
        """
        return await self._run(_RESTORE, "", uuid.uuid4().hex, version, revisions)

    async def recent_changes(self, name: str) -> list[bytes]:
        """The last hundred rows of the audit trail of one definition, the newest first."""
        rows: list[Any] = await self._valkey.lrange(self._history + name, 0, -1)
        return rows

    def subscription(self) -> PubSub:
        """Where the number of each new snapshot is published. The caller subscribes to `channel` and closes it."""
        return self._valkey.pubsub(ignore_subscribe_messages=True)

    @property
    def channel(self) -> str:
        """Name of the channel of changes."""
        return self._channel

    async def _has(self, revisions: Mapping[str, Revision]) -> bool:
        """Whether exactly these are there, although the answer was lost."""
        try:
            stored = (await self.snapshot()).revisions
        except (RedisError, OSError):
            return False
        return all(revision.is_same(stored.get(name)) for name, revision in revisions.items())

    async def _run(
        self, script: str, history: str, epoch: str, version: int, revisions: Mapping[str, Revision]
    ) -> bool:
        arguments: list[str | bytes | int] = [self._channel, history, epoch, version]
        for name, revision in revisions.items():
            arguments += name, revision.version, revision.document, revision.row
        return bool(await self._valkey.eval(script, len(self._keys), *self._keys, *arguments))
