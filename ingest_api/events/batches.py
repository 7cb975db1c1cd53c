"""Batches: what is inserted under one token and acknowledged together."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ingest_api.events.entries import TABLES, Entry, entry_time

# A part costs ClickHouse the same with one row or with thousands, so a batch carries much. It stays one block, which is
# what a token stands for; ClickHouse begins another after 65 thousand rows.
MAX_EVENTS = 20_000
MAX_BYTES = 32 * 1024 * 1024
MAX_ENTRIES = 2000
"""What one call of `StreamConsumer.acknowledge` may name."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of some entries, by table, and the token that makes storing them again harmless."""

    token: str
    entry_ids: list[bytes]
    events: int
    tables: dict[str, bytes]
    """Lines of JSON."""
    strangers: list[Entry]
    """Entries among them that are not of this service."""
    written_since: datetime
    """When the oldest of them was appended; aware."""
    is_doubtful: bool
    """Whether some of the rows may be stored already."""


def batch_of(entries: Sequence[Entry], *, token: str = "", is_doubtful: bool = False) -> Batch:
    """A batch of at least one entry; without a token it gets the one that belongs to these entries."""
    ids = [entry.entry_id for entry in entries]
    tables = {table: b"".join([entry.tables.get(table, b"") for entry in entries]) for table in TABLES}
    return Batch(
        token=token or hashlib.blake2b(b" ".join(ids), digest_size=16).hexdigest(),
        entry_ids=ids,
        events=sum(entry.count for entry in entries),
        tables={table: lines for table, lines in tables.items() if lines},
        strangers=[entry for entry in entries if not entry.tables],
        written_since=datetime.fromtimestamp(min(map(entry_time, ids)), UTC),
        is_doubtful=is_doubtful,
    )


def in_batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Divide entries, in order, so that each part is small enough for one batch or a single entry."""
    part: list[Entry] = []
    events, size_bytes = 0, 0
    for entry in entries:
        events, size_bytes = events + entry.count, size_bytes + entry.size_bytes()
        if part and (events > MAX_EVENTS or size_bytes > MAX_BYTES or len(part) == MAX_ENTRIES):
            yield part
            part, events, size_bytes = [], entry.count, entry.size_bytes()
        part.append(entry)
    if part:
        yield part
