"""Requests that are answered as plain ASGI, without the web framework, and their answers."""

import hashlib
from collections.abc import Mapping

import msgspec
from starlette.types import Send

from ingest_api.events.cross_origin import Headers
from ingest_api.events.enrichment.senders import Sender


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request that is authenticated and read."""

    argument: str
    """What the path names: a flag, an experiment or a client's key; empty where it names nothing."""
    body: bytes
    headers: Mapping[bytes, bytes]
    source: str
    sender: Sender


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What is sent back."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = b"application/json"


async def send_answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer; nothing may have been sent before."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def tag_of(body: bytes) -> bytes:
    """The `ETag` of a body."""
    return b'"%b"' % hashlib.blake2b(body, digest_size=16).hexdigest().encode()
