import gzip
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import zstandard

from ingest_api.errors import BodyTooLarge, InputInvalid, MediaTypeRefused
from ingest_api.events.bodies import MAX_BODY_BYTES, MAX_DECODED_BYTES, MAX_GZIP_MEMBERS, ClientGone, read_body

_TEXT = b'{"eventName":"page_view"}' * 100


def _bare_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


def _request(*chunks: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks[:-1]]
    messages.append({"type": "http.request", "body": chunks[-1], "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return receive


def _headers(**values: str) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): value.encode() for name, value in values.items()}


@pytest.mark.parametrize("chunks", [(_TEXT,), (_TEXT[:10], b"", _TEXT[10:])])
async def test_body_arrives_whole(chunks: tuple[bytes, ...]) -> None:
    body = await read_body(_headers(content_type="application/json; charset=utf-8"), _request(*chunks))

    assert body == _TEXT


@pytest.mark.parametrize("encoding", [*_COMPRESS, "GZIP", "identity"])
async def test_body_is_decompressed(encoding: str) -> None:
    compressed = _COMPRESS.get(encoding.lower(), bytes)(_TEXT)

    body = await read_body(_headers(content_encoding=encoding), _request(compressed))

    assert body == _TEXT


@pytest.mark.parametrize(
    ("encoding", "compressed"),
    [
        ("deflate", _bare_deflate(_TEXT)),
        ("gzip", gzip.compress(_TEXT[:50], mtime=0) + gzip.compress(_TEXT[50:], mtime=0)),
        ("zstd", zstandard.compress(_TEXT[:50]) + zstandard.compress(_TEXT[50:])),
    ],
)
async def test_body_is_decompressed_in_its_rarer_forms(encoding: str, compressed: bytes) -> None:
    body = await read_body(_headers(content_encoding=encoding), _request(compressed))

    assert body == _TEXT


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize(
    "headers", [{}, {"content_type": "text/plain"}, {"content_type": "application/x-www-form-urlencoded"}]
)
async def test_body_is_decompressed_by_its_first_bytes_whatever_the_headers_say(
    compress: Callable[[bytes], bytes], headers: dict[str, str]
) -> None:
    body = await read_body(_headers(**headers), _request(compress(_TEXT)))

    assert body == _TEXT


async def test_body_of_very_many_gzip_streams_is_refused() -> None:
    streams = gzip.compress(b"") * (MAX_GZIP_MEMBERS + 1)

    with pytest.raises(InputInvalid) as refused:
        await read_body({}, _request(streams))

    assert refused.value.code == "compression_invalid"


@pytest.mark.parametrize("encoding", _COMPRESS)
async def test_body_that_grows_beyond_the_limit_is_refused(encoding: str) -> None:
    bomb = _COMPRESS[encoding](b" " * (MAX_DECODED_BYTES + 1))
    assert len(bomb) < MAX_BODY_BYTES / 100

    with pytest.raises(BodyTooLarge):
        await read_body(_headers(content_encoding=encoding), _request(bomb))


@pytest.mark.parametrize("encoding", _COMPRESS)
async def test_body_up_to_the_limit_is_read(encoding: str) -> None:
    compressed = _COMPRESS[encoding](b" " * MAX_DECODED_BYTES)

    body = await read_body(_headers(content_encoding=encoding), _request(compressed))

    assert len(body) == MAX_DECODED_BYTES


@pytest.mark.parametrize(
    ("encoding", "broken"),
    [
        ("gzip", b"?" + gzip.compress(_TEXT, mtime=0)),
        ("gzip", gzip.compress(_TEXT, mtime=0)[:-20]),
        ("gzip", gzip.compress(_TEXT, mtime=0) + b"?"),
        ("deflate", b"?" + zlib.compress(_TEXT)),
        ("deflate", zlib.compress(_TEXT)[:-20]),
        ("zstd", b"?" + zstandard.compress(_TEXT)),
    ],
)
async def test_broken_compression_is_refused(encoding: str, broken: bytes) -> None:
    with pytest.raises(InputInvalid) as refused:
        await read_body(_headers(content_encoding=encoding), _request(broken))

    assert refused.value.code == "compression_invalid"


async def test_body_over_the_limit_is_refused_by_its_announced_length() -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing need be received")

    with pytest.raises(BodyTooLarge):
        await read_body(_headers(content_length=str(MAX_BODY_BYTES + 1)), receive)


async def test_body_over_the_limit_is_refused_without_an_announced_length() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body({}, _request(b" " * MAX_BODY_BYTES, b" ", b" "))


@pytest.mark.parametrize("headers", [{"content_type": "multipart/form-data; boundary=x"}, {"content_encoding": "br"}])
async def test_unknown_forms_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(MediaTypeRefused):
        await read_body(_headers(**headers), _request(b"{}"))


async def test_a_client_that_hangs_up_is_noticed() -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    with pytest.raises(ClientGone):
        await read_body({}, receive)
