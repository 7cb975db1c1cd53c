"""Answering a request as plain ASGI, without the web framework."""

import hashlib

from starlette.types import Send

from ingest_api.events.cross_origin import Headers


async def send_answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer; nothing may have been sent before."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def tag_of(body: bytes) -> bytes:
    """The `ETag` of a body."""
    return b'"%b"' % hashlib.blake2b(body, digest_size=16).hexdigest().encode()
