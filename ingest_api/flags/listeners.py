"""Who is told of each change of flags: connections that stay open, as server-sent events.

An event says only that something has changed; SDKs then fetch the payload, or their evaluation, anew. So a slow
listener misses nothing: changes that come while it is busy are one.
"""

import asyncio
from contextlib import suppress

import msgspec
from starlette.types import Receive, Send

from ingest_api.errors import Unavailable
from ingest_api.events.cross_origin import Headers
from ingest_api.flags.payloads import Payloads

MAX_LISTENERS = 400
"""Most connections of one process that stay open: it may have 1,024 in many places, and others need some too."""
HEARTBEAT_SECONDS = 20.0
"""Longest silence: proxies close connections on which nothing comes for a minute, and a client that is gone shows."""
_RECONNECT_MILLISECONDS = 3000
_LONGEST_WAIT_SECONDS = 60.0
_HEADERS: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # nginx would keep events back until its buffer is full.
    (b"x-accel-buffering", b"no"),
]


class Listeners:
    """The open connections of one process. For one event loop."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._wakers: set[asyncio.Event] = set()
        self._has_ended = False

    def __len__(self) -> int:
        return len(self._wakers)

    async def watch(self) -> None:
        """Tell all listeners of each change of a definition or by a schedule, until cancelled."""
        known = self._payloads.moment()
        while True:
            left = self._payloads.seconds_left
            wait = _LONGEST_WAIT_SECONDS if left is None else min(max(left, 0.001), _LONGEST_WAIT_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._payloads.next_edit()
            moment = self._payloads.moment()
            if moment[0] is not known[0] or moment[1] != known[1]:
                known = moment
                self._wake_all()

    def end(self) -> None:
        """Close every connection when what is being sent is sent, and take no new one: the server stops."""
        self._has_ended = True
        self._wake_all()

    async def listen(self, receive: Receive, send: Send, headers: Headers) -> None:
        """Serve one listener until it or the server goes. Its first event covers what changed before it came.

        Raises:
            Unavailable: there are too many, or the server stops; nothing was sent.
        """
        if self._has_ended or len(self._wakers) >= MAX_LISTENERS:
            raise Unavailable("Too many listeners are connected; ask for the features again and again instead.")
        waker = asyncio.Event()
        waker.set()
        self._wakers.add(waker)
        leaving = asyncio.create_task(_left(receive, waker))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
            await send(_part(b"retry: %d\n\n" % _RECONNECT_MILLISECONDS))
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await waker.wait()
                except TimeoutError:
                    await send(_part(b": still here\n\n"))
                    continue
                waker.clear()
                if leaving.done() or self._has_ended:
                    break
                await send(_part(self._event()))
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._wakers.discard(waker)
            leaving.cancel()

    def _event(self) -> bytes:
        # Browsers pass on no event without data.
        data = msgspec.json.encode({"dateUpdated": self._payloads.dated})
        return b"event: features-updated\ndata: %b\n\n" % data

    def _wake_all(self) -> None:
        for waker in self._wakers:
            waker.set()


def _part(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _left(receive: Receive, waker: asyncio.Event) -> None:
    """Wait until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    waker.set()
