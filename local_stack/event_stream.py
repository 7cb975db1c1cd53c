"""The stream between the API and the flusher, seen from outside."""

import time
from collections.abc import Callable

import redis

from local_stack.process import ProcessFailed

_POLL_SECONDS = 0.1


def wait_until_drained(redis_url: str, database: str, pulse: Callable[[], None], timeout_seconds: float = 120) -> None:
    """Wait until the flusher has written all that waits in the stream of this `CLICKHOUSE_DATABASE`.

    `pulse` is called meanwhile and may raise to end the wait.

    Raises:
        ProcessFailed: events still wait after the timeout.
    """
    deadline = time.monotonic() + timeout_seconds
    with redis.Redis.from_url(redis_url) as client:
        while waiting := client.xlen(f"{{{database}}}:events"):
            pulse()
            if time.monotonic() > deadline:
                raise ProcessFailed(f"The flusher left {waiting} entries in the stream; see its log.")
            time.sleep(_POLL_SECONDS)
