import pytest

from ingest_api.events.batches import MAX_BYTES, MAX_ENTRIES, MAX_EVENTS, batch_of, in_batches
from ingest_api.events.entries import Entry, unpack


def test_batch_has_one_token_for_the_same_entries_and_another_for_others() -> None:
    entries = [_entry(1), _entry(2), _entry(3)]

    tokens = [batch_of(some).token for some in (entries, list(entries), entries[:2], entries[1:])]

    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3


def test_batch_joins_rows_by_table_and_names_strangers() -> None:
    stranger = unpack(b"1700000000000-2", {b"a": b"b"})

    batch = batch_of([_entry(3, b"e3\n"), stranger, _entry(1, b"e1\n")])

    assert batch.tables == {"events": b"e3\ne1\n"}
    assert batch.strangers == [stranger]
    assert batch.entry_ids == [b"1700000000003-0", b"1700000000000-2", b"1700000000001-0"]
    assert batch.written_since.isoformat() == "2023-11-14T22:13:20+00:00"


@pytest.mark.parametrize(
    ("count", "lines", "sizes"),
    [
        (MAX_EVENTS // 2, b"e\n", [2, 2, 1]),
        (MAX_EVENTS + 1, b"e\n", [1, 1, 1, 1, 1]),
        (1, b"e" * (MAX_BYTES // 2 - 1) + b"\n", [2, 2, 1]),
    ],
    ids=["events", "more than fit", "bytes"],
)
def test_entries_are_divided_by_what_one_insert_carries(count: int, lines: bytes, sizes: list[int]) -> None:
    entries = [_entry(number, lines, count) for number in range(5)]

    parts = list(in_batches(entries))

    assert [len(part) for part in parts] == sizes
    assert [entry for part in parts for entry in part] == entries


def test_entries_are_divided_by_how_many_can_be_acknowledged_at_once() -> None:
    entries = [_entry(number) for number in range(MAX_ENTRIES + 1)]

    assert [len(part) for part in in_batches(entries)] == [MAX_ENTRIES, 1]


def _entry(number: int, lines: bytes = b"e\n", count: int = 1) -> Entry:
    return Entry(b"%d-0" % (1_700_000_000_000 + number), count, {"events": lines}, {})
