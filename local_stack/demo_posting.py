"""Sends the shop's events through the public HTTP API, as its pages and apps would."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import date

import httpx
import msgspec

from local_stack.demo_data import ShopEvent, batches, is_late, is_sent_twice

BATCH_SIZE = 1000
REQUESTS_IN_FLIGHT = 4
ATTEMPTS = 8
_POLL_SECONDS = 0.2


class EventsRefused(RuntimeError):
    """The API did not take events that it should take."""


def in_sending_order(days: Sequence[tuple[date, list[ShopEvent]]]) -> Iterator[list[ShopEvent]]:
    """Yield requests' worth of events: late ones a day after their time, some of them sent twice."""
    late: list[ShopEvent] = []
    for _, events in days:
        held_back = [event for event in events if is_late(event)]
        on_time = [event for event in events if not is_late(event)]
        again = [event for event in on_time if is_sent_twice(event)]
        yield from batches(on_time + late + again, BATCH_SIZE)
        late = held_back
    yield from batches(late, BATCH_SIZE)


def post_events(
    requests: Iterator[list[ShopEvent]],
    api_url: str,
    write_key: str,
    pulse: Callable[[], None],
    advance: Callable[[int], None],
) -> None:
    """Post each list of events, a few at a time, and return when all are acknowledged.

    `advance` is told how many events one answer acknowledged; `pulse` may raise to end the work early.

    Raises:
        EventsRefused: the API refused events, or was away for longer than the retries last.
    """
    headers = {"authorization": f"Bearer {write_key}", "content-type": "application/json"}
    pending: set[Future[int]] = set()
    with (
        httpx.Client(base_url=api_url, headers=headers, timeout=60, trust_env=False) as client,
        ThreadPoolExecutor(REQUESTS_IN_FLIGHT) as pool,
    ):
        try:
            for events in requests:
                pending.add(pool.submit(_post, client, events))
                while len(pending) > 2 * REQUESTS_IN_FLIGHT:
                    pending = _settle(pending, pulse, advance)
            while pending:
                pending = _settle(pending, pulse, advance)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _settle(pending: set[Future[int]], pulse: Callable[[], None], advance: Callable[[int], None]) -> set[Future[int]]:
    pulse()
    done, left = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
    for answer in done:
        advance(answer.result())
    return left


def _post(client: httpx.Client, events: list[ShopEvent]) -> int:
    body = msgspec.json.encode({"events": events})
    problem = ""
    for attempt in range(ATTEMPTS):
        # The event ids make sending again harmless.
        time.sleep(0 if attempt == 0 else 0.1 * 2**attempt)
        try:
            answer = client.post("/api/analytics/track/batch", content=body)
        except httpx.TransportError as error:
            problem = str(error)
            continue
        if answer.status_code in (429, 503):
            problem = answer.text
            continue
        if answer.status_code != 202 or answer.json()["rejected"]:
            raise EventsRefused(f"The API answered {answer.status_code}: {answer.text[:500]}")
        return len(events)
    raise EventsRefused(f"The API does not take events: {problem}")
