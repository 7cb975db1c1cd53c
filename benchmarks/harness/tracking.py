"""Events as a shop sends them, as complete HTTP requests whose ids say which of the events they are."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

TRACK_PATH = "/api/analytics/track"
BATCH_PATH = "/api/analytics/track/batch"
INDEX_OF_ID = "reinterpretAsUInt64(reverse(unhex(substring(event_id, 25, 12))))"
"""SQL: the number of an event among those of its run."""
ATTEMPT_OF_ROW = "toUInt32OrZero(JSONExtractString(properties, 'attempt'))"
"""SQL: in which of its sendings the event was stored."""

_USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
_FIRST_TIMESTAMP = 1_760_000_000_000
_FIRST_ATTEMPT = b'"attempt":"000"'
_NAMES = ("page_view", "product_view", "add_to_cart", "purchase")
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Request:
    """Some consecutive events of a run in one HTTP request."""

    first: int
    count: int
    data: bytes
    """Head and body, ready for the socket."""

    def attempt(self, number: int) -> bytes:
        """The request as it is sent for the nth time, counted from 0: the events carry the number."""
        if number == 0:
            return self.data
        return self.data.replace(_FIRST_ATTEMPT, b'"attempt":"%03d"' % min(number, 999))


@dataclass(frozen=True, slots=True)
class Sender:
    """Makes the requests of one run: another name gives other ids."""

    run: str
    key: str

    def batches(self, events: int, size: int) -> Iterator[Request]:
        """Requests of `size` events each."""
        for start in range(0, events, size):
            count = min(size, events - start)
            body = _encoder.encode({"events": [self.event(index) for index in range(start, start + count)]})
            yield Request(start, count, self._http(BATCH_PATH, body))

    def singles(self, events: int, path: str = TRACK_PATH) -> Iterator[Request]:
        """Requests of one event each."""
        for index in range(events):
            yield Request(index, 1, self._http(path, _encoder.encode(self.event(index))))

    def event(self, index: int) -> dict[str, Any]:
        """One event."""
        # The first half is random to whatever stores it, as a UUID is; the last 12 digits say which event it is.
        digest = hashlib.blake2s(f"{self.run}-{index}".encode(), digest_size=8).hexdigest()
        return {
            "eventId": f"{digest[:8]}-{digest[8:12]}-7{digest[12:15]}-8{digest[13:]}-{index:012x}",
            "eventName": _NAMES[index % 4],
            "userId": f"user-{index % 5000}",
            "sessionId": f"session-{index % 20000}",
            "timestamp": _FIRST_TIMESTAMP + index * 37,
            "properties": {
                "page": f"/products/{index % 300}",
                "productId": str(index % 300),
                "revenue": "19.90",
                "attempt": "000",
            },
        }

    def _http(self, path: str, body: bytes) -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {_USER_AGENT}\r\nX-Write-Key: {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body
