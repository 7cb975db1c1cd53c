from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from ingest_api.events.raw_tables import RawTables
from tests.ingest_api.events.events_given import ids_of, lines_of, stored_ids
from warehouse.client import Client, StatementRefused
from warehouse.config import WarehouseSettings

PADDING = b'"properties":"%b"' % (b"x" * 2000)


@pytest.fixture
def tables(warehouse_settings: WarehouseSettings) -> Iterator[RawTables]:
    with closing(RawTables(warehouse_settings)) as tables:
        yield tables


def test_insert_keeps_every_column_as_it_was(
    tables: RawTables, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    line = (
        b'{"event_id":"a","event_name":"n\\u0000\\"\\n","event_type":"t","user_id":"\xf0\x9f\x98\x80","anonymous_id":"",'
        b'"session_id":"s","occurred_at":"1900-01-01T00:00:00Z","received_at":"2299-12-31T23:59:59.999Z",'
        b'"properties":"{\\"a\\":\\"\\\\ufffd\\"}","context":"{}","source":"ios","clock_skew_ms":-5,'
        b'"warnings":["unknown_field"],"is_bot":true}\n'
    )

    tables.insert("events", line, "token")

    columns = (
        "event_id, event_name, event_type, user_id, anonymous_id, session_id, occurred_at, received_at, properties, "
        "context, source, clock_skew_ms, warnings, country, is_bot"
    )
    [row] = warehouse.query(f"SELECT {columns} FROM {warehouse_settings.database('raw')}.events").result_rows
    assert row == (
        "a",
        'n\x00"\n',
        "t",
        "\U0001f600",
        "",
        "s",
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(2299, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        '{"a":"\\ufffd"}',
        "{}",
        "ios",
        -5,
        ["unknown_field"],
        "",
        True,
    )


def test_insert_under_a_token_that_was_used_stores_nothing(
    tables: RawTables, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    tables.insert("events", b"".join(lines_of(["a", "b"])), "token")

    tables.insert("events", b"".join(lines_of(["a", "b"])), "token")
    tables.insert("events", b"".join(lines_of(["c"])), "token")
    tables.insert("events", b"".join(lines_of(["d"])), "another")

    assert stored_ids(warehouse, warehouse_settings) == ["a", "b", "d"]


def test_insert_of_many_megabytes_is_one_part_under_one_token(
    tables: RawTables, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    large = b"".join(line.replace(b'"properties":"{}"', PADDING) for line in lines_of(ids_of(12_000)))

    tables.insert("events", large, "token")
    tables.insert("events", large, "token")
    tables.insert("events", b"".join(lines_of(["other"])), "token")

    parts = f"SELECT count(), sum(rows) FROM system.parts WHERE database = '{warehouse_settings.database('raw')}'"
    assert len(large) > 20 * 1024 * 1024
    assert warehouse.query(f"{parts} AND table = 'events'").result_rows == [(1, 12_000)]


def test_insert_that_is_refused_does_not_use_up_its_token(
    tables: RawTables, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    lines = lines_of(["a", "b"])
    with pytest.raises(StatementRefused):
        tables.insert("events", lines[0] + b'{"event_id":"b","occurred_at":"never"}\n', "token")

    tables.insert("events", b"".join(lines), "token")

    assert stored_ids(warehouse, warehouse_settings) == ["a", "b"]


def test_stored_finds_ids_that_came_in_since(tables: RawTables) -> None:
    ids = ids_of(2500)
    tables.insert("events", b"".join(lines_of(ids[:1500])), "token")
    just_now = datetime.now(UTC) - timedelta(seconds=1)

    assert tables.stored("events", ids, just_now) == set(ids[:1500])
    assert tables.stored("events", ids, just_now + timedelta(hours=2)) == set()
    assert tables.stored("rejected_events", ids, just_now) == set()


def test_insert_says_that_a_wrong_user_is_refused(warehouse_settings: WarehouseSettings) -> None:
    stranger = warehouse_settings.model_copy(update={"clickhouse_username": "nobody"})

    with closing(RawTables(stranger)) as tables, pytest.raises(StatementRefused):
        tables.insert("events", b"".join(lines_of(["a"])), "token")
