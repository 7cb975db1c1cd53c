"""What waits in the stream."""

import time
from dataclasses import dataclass
from typing import Any

import redis

from ingest_api.events.stream import stream_keys
from local_stack.startup import IngestStack
from local_stack.valkey_server import valkey_url

_CAUGHT_UP_SECONDS = 2.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Backlog:
    """Entries that are not in the warehouse yet."""

    entries: int
    oldest_seconds: float
    """Age of the oldest, 0 when there is none."""
    used_bytes: int
    """Memory of the whole server."""


def look_at_backlog(running: IngestStack) -> Backlog:
    """Look at the stream of a stack."""
    programs = running.programs
    key = stream_keys(programs.settings.database).events
    url = valkey_url(programs.settings.ports.valkey, programs.credentials.valkey_password)
    with redis.Redis.from_url(url) as valkey:
        answers: Any = valkey.pipeline().xlen(key).xrange(key, count=1).time().info("memory").execute()
    length, oldest, (seconds, microseconds), memory = answers
    appended_at = int(oldest[0][0].partition(b"-")[0]) / 1000 if oldest else seconds + microseconds / 1e6
    return Backlog(length, seconds + microseconds / 1e6 - appended_at, memory["used_memory"])


def seconds_until_caught_up(running: IngestStack) -> float:
    """Wait, while events may go on coming, until none waits long; raises ProcessFailed when a process ended."""
    started = time.monotonic()
    while look_at_backlog(running).oldest_seconds > _CAUGHT_UP_SECONDS:
        running.stack.pulse()
        time.sleep(_LOOK_SECONDS)
    return time.monotonic() - started
