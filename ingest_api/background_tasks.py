"""Ending tasks that run beside the requests."""

import asyncio
from contextlib import suppress

_AGAIN_AFTER_SECONDS = 0.5


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task and return when it has ended; raises what it raised."""
    while not task.done():
        # More than once: `asyncio.wait_for` of Python 3.11, with which redis-py waits, can swallow a cancellation.
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN_AFTER_SECONDS)
    with suppress(asyncio.CancelledError):
        await task
