"""One entry of the stream: rows of several raw tables that are appended, and then stored, together."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import zstandard

EVENTS, REJECTED_EVENTS, QUARANTINE_REPLAYS = "events", "rejected_events", "quarantine_replays"
DEFINITION_CHANGES, FLAG_EVALUATIONS = "definition_changes", "flag_evaluations"
TABLES = (EVENTS, REJECTED_EVENTS, QUARANTINE_REPLAYS, DEFINITION_CHANGES, FLAG_EVALUATIONS)
"""Tables of the raw database in the order in which an entry's rows are stored."""
ENTRY_COUNT = b"n"
"""Field of an entry: how many events it holds. Each other field is named like a table and holds its rows."""

_FIELDS = {table.encode(): table for table in TABLES}
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# A smaller value gains too little memory to be worth the work.
_COMPRESSED_FROM_BYTES = 2048


class _Zstd(threading.local):
    """Its objects are worth keeping, and each may be used by one thread only."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


class Rows(msgspec.Struct, frozen=True):
    """Rows of the raw tables that are stored together: lines of JSON, each ending with a line feed."""

    events: bytes = b""
    event_count: int = 0
    """How many lines `events` has."""
    rejected_events: bytes = b""
    quarantine_replays: bytes = b""
    flag_evaluations: bytes = b""

    def size_bytes(self) -> int:
        """Bytes of all lines."""
        others = len(self.rejected_events) + len(self.quarantine_replays) + len(self.flag_evaluations)
        return len(self.events) + others


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as a flusher reads it."""

    entry_id: bytes
    count: int
    """Events, for deciding when to write; other rows do not count."""
    tables: Mapping[str, bytes]
    """Lines of JSON by table; nothing when the entry is not of this service."""
    fields: Mapping[bytes, bytes]
    """What such an entry holds instead."""

    def size_bytes(self) -> int:
        """Bytes of all lines."""
        return sum(map(len, self.tables.values()))


def pack(group: Sequence[Rows]) -> list[bytes]:
    """Join rows to the fields of one entry: name, value, name, value ..."""
    fields = [ENTRY_COUNT, b"%d" % sum([rows.event_count for rows in group])]
    for name, lines in (
        (b"events", b"".join([rows.events for rows in group])),
        (b"rejected_events", b"".join([rows.rejected_events for rows in group])),
        (b"quarantine_replays", b"".join([rows.quarantine_replays for rows in group])),
        (b"flag_evaluations", b"".join([rows.flag_evaluations for rows in group])),
    ):
        if lines:
            fields += name, lines if len(lines) < _COMPRESSED_FROM_BYTES else _zstd.compress(lines)
    return fields


def unpack(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """Read the fields of an entry. One that is not understood as a whole keeps its fields and has no rows."""
    tables: dict[str, bytes] = {}
    for name, value in fields.items():
        if name == ENTRY_COUNT:
            continue
        table, lines = _FIELDS.get(name), _decompressed(value)
        if table is None or not lines or not lines.endswith(b"\n"):
            return Entry(entry_id, 0, {}, fields)
        tables[table] = lines
    count = fields.get(ENTRY_COUNT, b"")
    if not count.isdigit():
        return Entry(entry_id, 0, {}, fields)
    return Entry(entry_id, int(count), tables, {})


def entry_time(entry_id: bytes) -> float:
    """When Valkey made an entry, in seconds since 1970, from its id."""
    return int(entry_id.partition(b"-")[0]) / 1000


def _decompressed(value: bytes) -> bytes:
    if not value.startswith(_ZSTD_MAGIC):
        return value
    try:
        return _zstd.decompress(value)
    except zstandard.ZstdError:
        return b""
