import pytest

from ingest_api.events.entries import Rows, pack, unpack
from tests.ingest_api.events.events_given import fields_of

LARGE = b'{"event_id":"a"}\n' * 1000


def test_entry_keeps_the_rows_of_all_tables() -> None:
    one = Rows(b"e1\n", 1, b"r1\n")
    other = Rows(b"e2\ne3\n", 2, b"", b"q1\n")

    entry = unpack(b"1-0", fields_of([one, other]))

    assert entry.count == 3
    assert entry.tables == {"events": b"e1\ne2\ne3\n", "rejected_events": b"r1\n", "quarantine_replays": b"q1\n"}
    assert entry.size_bytes() == 15


def test_entry_without_events_counts_none() -> None:
    entry = unpack(b"1-0", fields_of([Rows(rejected_events=b"r\n")]))

    assert entry.count == 0
    assert entry.tables == {"rejected_events": b"r\n"}


def test_large_rows_are_compressed_and_small_ones_are_not() -> None:
    fields = fields_of([Rows(LARGE, 1000, b"r\n")])

    entry = unpack(b"1-0", fields)

    assert len(fields[b"events"]) < len(LARGE) / 10
    assert fields[b"rejected_events"] == b"r\n"
    assert entry.tables["events"] == LARGE


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"something": b"else"},
        {b"events": b"e\n"},
        {b"n": b"many", b"events": b"e\n"},
        {b"n": b"1", b"events": b"e\n", b"table_of_tomorrow": b"t\n"},
        {b"n": b"1", b"events": b"no line feed"},
        {b"n": b"1", b"events": b""},
        {b"n": b"1", b"events": pack([Rows(LARGE, 1000)])[3][:-10]},
    ],
    ids=["nothing", "strange", "no count", "no number", "unknown table", "half a line", "no line", "cut frame"],
)
def test_entry_that_is_not_understood_as_a_whole_has_no_rows_and_keeps_its_fields(fields: dict[bytes, bytes]) -> None:
    entry = unpack(b"1-0", fields)

    assert entry.fields == fields
    assert (entry.count, entry.tables) == (0, {})
