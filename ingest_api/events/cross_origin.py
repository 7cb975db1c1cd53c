"""What lets a page of any site post events and evaluate flags from the browser (CORS).

An answer without these headers, an error too, reaches the page as a failure of the network, and SDKs then send the same
events again or drop them.
"""

from collections.abc import Mapping
from typing import TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]

_ALLOWED_HEADERS = (
    b"authorization, content-type, content-encoding, if-none-match, x-write-key, x-api-key, x-request-id, "
    b"x-retry-count, anonymousid, sentat"
)
_DAY = b"86400"
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", _ALLOWED_HEADERS),
    (b"access-control-max-age", _DAY),
]
ALLOWED_HEADERS = tuple(_ALLOWED_HEADERS.decode().split(", "))
"""Headers that a page may send."""
EXPOSED_HEADERS = ("retry-after", "etag", "x-sse-support")
"""Headers that a page may read."""


def headers_for_origin(headers: Mapping[bytes, bytes]) -> Headers:
    """Headers for the answer to a request with these headers; nothing when it does not come from a page.

    Cookies mean nothing to these routes, but `sendBeacon` always sends them, and the browser then wants to read that
    they are allowed, by name of the origin.
    """
    origin = headers.get(b"origin")
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode()),
        (b"vary", b"origin"),
    ]


def preflight_headers(headers: Mapping[bytes, bytes]) -> Headers:
    """Headers of the answer to `OPTIONS`."""
    return [(b"allow", b"POST, OPTIONS"), *headers_for_origin(headers), *_PREFLIGHT]
