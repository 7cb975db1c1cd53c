"""Appending to the stream at most once, although an answer can get lost after the server has executed the command."""

import asyncio
import hashlib
import random
import secrets
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as TimedOut

# A writer numbers its appends, and Valkey keeps its latest number beside the stream. An append that comes once more,
# even from a connection that was given up and whose last bytes Valkey reads late, finds its number and does nothing.
APPEND = """
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'EX', 3600)
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
return 1
"""
_APPEND_SHA = hashlib.sha1(APPEND.encode(), usedforsecurity=False).hexdigest()
_ANSWER_SECONDS = 5
# Long enough for a restart of Valkey, short enough for a client that waits.
_PATIENCE_SECONDS = 3.0
_LONGEST_PAUSE_SECONDS = 0.4


class StreamWriter:
    """Appends entries over a connection of its own, which costs half of a pooled one. For one task at a time."""

    def __init__(self, redis_url: str, stream_key: str, writer_prefix: str) -> None:
        # Its own timeout costs a task for each command: `_send` has one for all of an append.
        pool: Any = ConnectionPool.from_url(
            redis_url, socket_connect_timeout=1, socket_timeout=None, retry=Retry(NoBackoff(), 0)
        )
        self._connection: AbstractConnection = pool.make_connection()
        self._keys = (stream_key, writer_prefix + secrets.token_hex(8))
        self._sequence = 0

    async def append(self, fields: Sequence[bytes]) -> None:
        """Return when an entry with these fields (name, value, name, value ...) is on disk.

        Raises:
            ResponseError: Valkey refused it (`OutOfMemoryError`: it is full).
            ConnectionError, TimeoutError: of redis; it is not known to be on disk, and may be.
        """
        self._sequence += 1
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        pause = 0.02
        while True:
            try:
                return await self._send(fields)
            except (ConnectionFailed, TimedOut):
                await self._connection.disconnect(nowait=True)
                if asyncio.get_running_loop().time() + pause > deadline:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads the writers of several processes
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.disconnect()

    async def _send(self, fields: Sequence[bytes]) -> None:
        arguments = (2, *self._keys, self._sequence, *fields)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                try:
                    await self._command("EVALSHA", _APPEND_SHA, *arguments)
                except NoScriptError:  # the first append to a server that was just started
                    await self._command("EVAL", APPEND, *arguments)
        except TimeoutError as error:
            raise TimedOut("Valkey did not answer in time.") from error

    async def _command(self, *words: Any) -> None:
        # Half of the time that the connection takes to pack it.
        await self._connection.send_packed_command(pack_command(words), check_health=False)
        await self._connection.read_response()
