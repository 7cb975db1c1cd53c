"""Reading a request body within bounds: bytes on the wire, content encoding, bytes after decompression.

Its first bytes say what a body is, not its headers: SDKs send gzip as `text/plain` without `Content-Encoding`, and
JSON as any type, because a browser asks before it sends some types and not before others.
"""

import zlib
from collections.abc import Mapping

import zstandard
from starlette.types import Receive

from ingest_api.errors import BodyTooLarge, InputInvalid, MediaTypeRefused

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Most bytes of a body as sent."""
MAX_DECODED_BYTES = 20 * 1024 * 1024
"""Most bytes of a body after decompression."""
MAX_GZIP_MEMBERS = 64
"""Most gzip streams one after the other in a body."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class ClientGone(Exception):
    """The client closed the connection before its request was complete; nobody waits for an answer."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """Receive and decompress the body of a JSON request.

    Raises:
        BodyTooLarge: over `MAX_BODY_BYTES`, or over `MAX_DECODED_BYTES` when decompressed.
        MediaTypeRefused: a form with parts, or compressed with something else than gzip, deflate or zstd.
        InputInvalid: the compressed data is broken.
        ClientGone: the client hung up.
    """
    if headers.get(b"content-type", b"")[:10].lower() == b"multipart/":
        raise MediaTypeRefused("Send the body as JSON, not as a form with parts.")
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise _too_large(MAX_BODY_BYTES, "")
    body = await _receive_all(receive)
    encoding = _encoding(body) or headers.get(b"content-encoding", b"").strip().lower()
    if encoding in (b"", b"identity"):
        return body
    if encoding not in (b"gzip", b"deflate", b"zstd"):
        raise MediaTypeRefused("Content-Encoding may be gzip, deflate or zstd.")
    try:
        return _decompress(body, encoding)
    except (zlib.error, zstandard.ZstdError) as error:
        raise InputInvalid(f"The body is not {encoding.decode()} data.", code="compression_invalid") from error


def _encoding(body: bytes) -> bytes:
    if body.startswith(_GZIP):
        return b"gzip"
    return b"zstd" if body.startswith(_ZSTD) else b""


async def _receive_all(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        chunks, size = [message.get("body", b"")], len(message.get("body", b""))
    else:
        chunks, size = [], 0
        while True:
            if message["type"] != "http.request":
                raise ClientGone
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > MAX_BODY_BYTES or not message.get("more_body", False):
                break
            message = await receive()
    if size > MAX_BODY_BYTES:
        raise _too_large(MAX_BODY_BYTES, "")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _decompress(body: bytes, encoding: bytes) -> bytes:
    if encoding == b"zstd":
        # The window is what the decoder must hold in memory; 8 MiB is what RFC 9659 allows in HTTP.
        decompressor = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
        with decompressor.stream_reader(body, read_across_frames=True) as reader:
            # Data that ends early comes out short, which the JSON decoder refuses.
            decoded = reader.read(MAX_DECODED_BYTES + 1)
        if len(decoded) > MAX_DECODED_BYTES:
            raise _too_large(MAX_DECODED_BYTES, " when decompressed")
        return decoded
    if encoding == b"gzip":
        window_bits = 16 + zlib.MAX_WBITS
    else:
        # "deflate" means zlib data, but clients that send bare deflate data are as common. A zlib header says method 8.
        window_bits = zlib.MAX_WBITS if body[:1] and body[0] & 15 == zlib.DEFLATED else -zlib.MAX_WBITS
    return _inflate(body, window_bits)


def _inflate(body: bytes, window_bits: int) -> bytes:
    decoded = b""
    for _ in range(MAX_GZIP_MEMBERS):
        stream = zlib.decompressobj(window_bits)
        decoded += stream.decompress(body, MAX_DECODED_BYTES + 1 - len(decoded))
        if len(decoded) > MAX_DECODED_BYTES:
            raise _too_large(MAX_DECODED_BYTES, " when decompressed")
        if not stream.eof:
            raise zlib.error("the data ends early")
        body = stream.unused_data
        if not body:
            return decoded
    # Each member is small and copies the rest of the body, so their number must have an end.
    raise zlib.error("too many members")


def _too_large(limit: int, when: str) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {limit // 1024 // 1024} MiB{when}; send smaller batches.")
