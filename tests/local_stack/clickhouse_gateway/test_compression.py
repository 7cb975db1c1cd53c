"""Content-Encoding in both directions."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard

from local_stack.clickhouse_gateway.compression import RequestDecoder, accepted_encoding, compressor
from local_stack.clickhouse_gateway.errors import ClickHouseError

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}
TEXT = b"some rows\n" * 10_000


@pytest.mark.parametrize("encoding", PACK)
def test_request_is_decoded_in_pieces_and_over_several_frames(encoding: str) -> None:
    packed = PACK[encoding](TEXT) + PACK[encoding](b"more")
    decoder = RequestDecoder(encoding)

    decoded = b"".join(decoder.decode(packed[start : start + 7]) for start in range(0, len(packed), 7))
    decoder.finish()

    assert decoded == TEXT + b"more"


@pytest.mark.parametrize("encoding", PACK)
def test_request_is_refused_when_it_ends_early_or_is_something_else(encoding: str) -> None:
    short, wrong = RequestDecoder(encoding), RequestDecoder(encoding)
    short.decode(PACK[encoding](TEXT)[:-8])

    with pytest.raises(ClickHouseError, match="unexpected end of data"):
        short.finish()
    with pytest.raises(ClickHouseError, match="Cannot decompress"):
        wrong.decode(b"certainly not compressed at all, by none of them")


def test_encoding_that_is_not_supported_is_refused() -> None:
    with pytest.raises(ClickHouseError, match="Unknown compression method br"):
        RequestDecoder("br")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
def test_response_is_compressed_in_pieces(encoding: str) -> None:
    packer = compressor(encoding)
    packed = b"".join(packer.compress(TEXT[start : start + 999]) for start in range(0, len(TEXT), 999)) + packer.flush()

    decoder = RequestDecoder(encoding)

    assert decoder.decode(packed) == TEXT
    assert len(packed) < len(TEXT) / 10


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip", "gzip"),
        ("lz4;q=0.5, gzip", "lz4"),
        ("gzip;q=0", None),
        ("br", None),
        ("", None),
    ],
)
def test_encoding_is_chosen_from_what_the_client_accepts(header: str, encoding: str | None) -> None:
    assert accepted_encoding(header) == encoding
