"""Content-Encoding of requests and responses, piece by piece so that memory stays bounded."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
import zstandard

from local_stack.clickhouse_gateway.errors import ClickHouseError


class Compressor(Protocol):
    """Compresses a response: pieces, then the end."""

    def compress(self, data: bytes, /) -> bytes: ...  # noqa: D102

    def flush(self) -> bytes: ...  # noqa: D102


class Decompressor(Protocol):
    """Decompresses a request; `eof` says whether the end of a frame was reached."""

    @property
    def eof(self) -> bool: ...  # noqa: D102

    @property
    def unused_data(self) -> bytes: ...  # noqa: D102

    def decompress(self, data: bytes, /) -> bytes: ...  # noqa: D102


class _Lz4Compressor:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        begin = b"" if self._begun else bytes(self._frame.begin())
        self._begun = True
        return begin + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        begin = b"" if self._begun else bytes(self._frame.begin())
        return begin + bytes(self._frame.flush())


# Best first: an encoding that costs little CPU beats one that saves a few bytes on the way to a neighbour.
_COMPRESSORS: dict[str, Callable[[], Compressor]] = {
    "lz4": _Lz4Compressor,
    "zstd": lambda: zstandard.ZstdCompressor(level=1).compressobj(),
    "gzip": lambda: zlib.compressobj(1, wbits=31),
    "deflate": lambda: zlib.compressobj(1),
}
_DECOMPRESSORS: dict[str, Callable[[], Decompressor]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "deflate": lambda: zlib.decompressobj(),
    "xz": lzma.LZMADecompressor,
    "bz2": bz2.BZ2Decompressor,
}


def accepted_encoding(header: str) -> str | None:
    """The encoding for a response, or None to leave it as it is."""
    parts = ["".join(part.split()).lower() for part in header.split(",")]
    names = {part.partition(";")[0] for part in parts if not part.endswith((";q=0", ";q=0.0"))}
    return next((name for name in _COMPRESSORS if name in names), None)


def compressor(encoding: str) -> Compressor:
    """A new compressor for an encoding that `accepted_encoding` returned."""
    return _COMPRESSORS[encoding]()


class RequestDecoder:
    """Undoes the Content-Encoding of a request, which may be several frames one after the other."""

    def __init__(self, encoding: str) -> None:
        """Raises ClickHouseError 89 for an encoding that is not supported."""
        self._encoding = encoding
        if encoding not in ("", "identity") and encoding not in _DECOMPRESSORS:
            raise ClickHouseError(89, f"Unknown compression method {encoding}.")
        self._frame: Decompressor | None = None

    def decode(self, data: bytes) -> bytes:
        """Decode the next piece. Raises ClickHouseError 271."""
        if self._encoding in ("", "identity"):
            return data
        pieces = []
        try:
            while data:
                if self._frame is None:
                    self._frame = _DECOMPRESSORS[self._encoding]()
                pieces.append(self._frame.decompress(data))
                data = b""
                if self._frame.eof:
                    data = self._frame.unused_data or b""
                    self._frame = None
        except (RuntimeError, OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
            raise ClickHouseError(271, f"Cannot decompress {self._encoding}: {error}") from error
        return b"".join(pieces)

    def finish(self) -> None:
        """Raise ClickHouseError 271 if the data ended inside of a frame."""
        if self._frame is not None:
            raise ClickHouseError(271, f"Cannot decompress {self._encoding}: unexpected end of data")
