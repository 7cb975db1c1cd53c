import asyncio

import pytest

from ingest_api import background_tasks


async def test_end_returns_when_a_task_has_ended_that_missed_a_cancellation() -> None:
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if swallowed == 1:
                    raise
                swallowed += 1

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)

    await background_tasks.end(task)

    assert swallowed == 1
    assert task.cancelled()


async def test_end_raises_what_the_task_raised() -> None:
    async def broken() -> None:
        raise LookupError("broken")

    task = asyncio.create_task(broken())
    await asyncio.sleep(0)

    with pytest.raises(LookupError, match="broken"):
        await background_tasks.end(task)
