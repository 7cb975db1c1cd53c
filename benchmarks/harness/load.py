"""A client that costs little beside the server it loads: requests are bytes made beforehand, answers are hardly read.

It behaves as the SDKs do that README asks for: what is not answered, or answered 503, is sent again with the same ids.
"""

import asyncio
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import uvloop

from benchmarks.harness.tracking import Request
from local_stack.ports import LOOPBACK

_TICK_SECONDS = 0.002
_BACK_OFF_SECONDS = 0.05
_LONGEST_BACK_OFF_SECONDS = 1.0
_LOSES_WITHIN_SECONDS = 0.02
_BUSY = frozenset({429, 503})
_TAKEN = frozenset({200, 202})


class Acknowledged(NamedTuple):
    """Events that the server has answered for. Times are readings of `time.perf_counter`."""

    first: int
    size: int
    due_at: float
    """When it was to be sent: with a rate, by the schedule, however late the server made it."""
    answered_at: float
    sendings: int

    @property
    def latency_seconds(self) -> float:
        """From when it was due to the answer that counts."""
        return self.answered_at - self.due_at


class Load:
    """Posts requests over a few connections, each in turn or, with `events_per_second`, by the clock."""

    def __init__(
        self,
        port: int,
        requests: Iterator[Request],
        *,
        connections: int = 4,
        events_per_second: float = 0,
        lost_share: float = 0,
        timeout_seconds: float = 15,
        chance: random.Random | None = None,
    ) -> None:
        """`lost_share` of the sendings hang up before they have read an answer."""
        self.port = port
        self.timeout_seconds = timeout_seconds
        self.lost_share = lost_share
        self.chance = chance or random.Random(1)  # noqa: S311 - repeatable
        self.acknowledged: list[Acknowledged] = []
        self.acknowledged_events = 0
        self.sent_events = 0
        """Events that were sent at least once."""
        self.refused: list[str] = []
        """Answers that say that sending again is of no use."""
        self.resent: Counter[str] = Counter()
        """Sendings that had to be repeated, by what came of them."""
        self._requests = requests
        self._interval_per_event = 1 / events_per_second if events_per_second else 0
        self._due: deque[tuple[Request, float]] = deque()
        self._next_due = 0.0
        self._is_stopping = False
        self._connections = [_Connection(self) for _ in range(connections)]

    def run(self) -> None:
        """Post until there are no more requests or `stop` was called, and all that was begun is answered."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run())

    def stop(self) -> None:
        """Begin nothing more; from any thread."""
        self._is_stopping = True

    @property
    def seconds(self) -> float:
        """From when the first request was due to the last answer."""
        return max(one.answered_at for one in self.acknowledged) - min(one.due_at for one in self.acknowledged)

    def take(self) -> tuple[Request, float] | None:
        """The next request and when it is, or was, due; None when there is none now."""
        if self._interval_per_event:
            return self._due.popleft() if self._due else None
        request = None if self._is_stopping else next(self._requests, None)
        if request is None:
            self._is_stopping = True
            return None
        self.sent_events += request.count
        return request, time.perf_counter()

    async def _run(self) -> None:
        self._next_due = time.perf_counter()
        for connection in self._connections:
            connection.begin()
        while not (self._is_stopping and not self._due and all(one.is_idle for one in self._connections)):
            await asyncio.sleep(_TICK_SECONDS)
            if self._interval_per_event:
                self._schedule()
            now = time.perf_counter()
            for connection in self._connections:
                connection.look(now)
        for connection in self._connections:
            connection.close()

    def _schedule(self) -> None:
        now = time.perf_counter()
        while self._next_due <= now and not self._is_stopping:
            request = next(self._requests, None)
            if request is None:
                self._is_stopping = True
                break
            self.sent_events += request.count
            self._due.append((request, self._next_due))
            self._next_due += request.count * self._interval_per_event


@contextmanager
def posting(load: Load) -> Iterator[Load]:
    """Post from a thread while the block runs; leaving it stops the load and waits for the answers that are due."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            load.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="load", daemon=True)
    thread.start()
    try:
        yield load
    finally:
        load.stop()
        thread.join()
    if failures:
        raise failures[0]


class _Connection(asyncio.Protocol):
    """One connection; carries one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._due_at = self._sent_at = 0.0
        self._sendings = 0
        self._is_waiting = False
        self._loses = False
        self._received = b""

    @property
    def is_idle(self) -> bool:
        return self._request is None

    def begin(self) -> None:
        """Send the next request, if there is one."""
        work = self._load.take()
        if work is None:
            return
        self._request, self._due_at = work
        self._sendings = 0
        self._send()

    def look(self, now: float) -> None:
        """Look whether there is something to begin or to give up."""
        if self._request is None:
            self.begin()
        elif self._is_waiting and now - self._sent_at > self._load.timeout_seconds and self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close it for good."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._is_waiting:
            self._again("connection lost")

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        head_end = data.find(b"\r\n\r\n")
        length_at = data.find(b"content-length: ", 0, head_end)
        if head_end < 0 or len(data) < head_end + 4 + int(data[length_at + 16 : data.find(b"\r", length_at)]):
            self._received = data
            return
        self._received = b""
        if self._loses:
            if self._transport is not None:
                self._transport.abort()
            return
        self._answered(int(data[9:12]), data, head_end)

    def _answered(self, status: int, data: bytes, head_end: int) -> None:
        request, load = self._request, self._load
        if request is None or not self._is_waiting:
            return
        if status in _BUSY:
            self._again(str(status))
            return
        self._is_waiting, self._request = False, None
        if status in _TAKEN and data.find(b'"status":"rejected"', head_end) < 0:
            load.acknowledged.append(
                Acknowledged(request.first, request.count, self._due_at, time.perf_counter(), self._sendings)
            )
            load.acknowledged_events += request.count
        else:
            load.refused.append(data.decode(errors="replace"))
        self.begin()

    def _send(self) -> None:
        if self._request is None:
            return
        if self._transport is None or self._transport.is_closing():
            self._connecting = asyncio.ensure_future(self._connect())
            return
        load = self._load
        self._sent_at = time.perf_counter()
        self._is_waiting = True
        self._transport.write(self._request.attempt(self._sendings))
        self._sendings += 1
        self._loses = load.lost_share > 0 and load.chance.random() < load.lost_share
        if self._loses:
            delay = load.chance.uniform(0, _LOSES_WITHIN_SECONDS)
            asyncio.get_running_loop().call_later(delay, self._transport.abort)

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, LOOPBACK, self._load.port)
        except OSError:
            self._again("not connected")
        else:
            self._send()

    def _again(self, reason: str) -> None:
        """Send the same request once more after a while: a random one, lest all clients come back at once."""
        self._is_waiting = False
        self._load.resent[reason] += 1
        longest = min(_LONGEST_BACK_OFF_SECONDS, _BACK_OFF_SECONDS * 2 ** min(self._sendings, 10))
        asyncio.get_running_loop().call_later(self._load.chance.uniform(0, longest), self._send)
