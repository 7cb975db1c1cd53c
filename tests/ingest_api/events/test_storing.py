import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from ingest_api.events.storing import EventTable, GivenUp, Storing
from tests.conftest import Gateway
from tests.ingest_api.events.events_given import ids_of, lines_of, stored_ids
from tests.ingest_api.events.losing_proxy import LosingProxy, Moment
from warehouse.client import Client, StatementRefused
from warehouse.config import WarehouseSettings


class _Grave:
    """Keeps what is buried."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def __call__(self, line: bytes, reason: str) -> None:
        assert reason
        self.lines.append(line)


@contextmanager
def _storing(settings: WarehouseSettings, grave: _Grave) -> Iterator[Storing]:
    with closing(EventTable(settings)) as table:
        yield Storing(table, grave, threading.Event())


def _just_now() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=1)


@pytest.fixture
def proxy(gateway: Gateway) -> Iterator[LosingProxy]:
    with LosingProxy(gateway.port, b"INSERT") as proxy:
        yield proxy


def test_store_keeps_every_column_as_it_was(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    line = (
        b'{"event_id":"a","event_name":"n\\u0000\\"\\n","event_type":"t","user_id":"\xf0\x9f\x98\x80","anonymous_id":"",'
        b'"session_id":"s","occurred_at":"1900-01-01T00:00:00Z","received_at":"2299-12-31T23:59:59.999Z",'
        b'"properties":"{\\"a\\":\\"\\\\ufffd\\"}","context":"{}","source":"ios"}\n'
    )

    with _storing(warehouse_settings, _Grave()) as storing:
        storing.store([line], _just_now(), False)

    query = f"SELECT * EXCEPT inserted_at FROM {warehouse_settings.database('raw')}.events"
    [row] = warehouse.query(query).result_rows
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
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_store_stores_once_when_the_answer_is_lost(
    warehouse: Client, warehouse_settings: WarehouseSettings, proxy: LosingProxy, when: Moment
) -> None:
    grave = _Grave()
    through_proxy = warehouse_settings.model_copy(update={"clickhouse_host": f"127.0.0.1:{proxy.port}"})
    proxy.lose(2, when)

    with _storing(through_proxy, grave) as storing:
        storing.store(lines_of(ids_of(5)), _just_now(), False)

    assert stored_ids(warehouse, warehouse_settings) == ids_of(5)
    assert grave.lines == []


def test_store_adds_only_what_is_missing_when_doubtful(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    with _storing(warehouse_settings, _Grave()) as storing:
        storing.store(lines_of(ids_of(3)), _just_now(), False)

        storing.store(lines_of(ids_of(2500)), _just_now(), True)

    assert stored_ids(warehouse, warehouse_settings) == sorted(ids_of(2500))


def test_store_buries_the_one_row_that_clickhouse_refuses(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    grave = _Grave()
    lines = lines_of(ids_of(100))
    lines[37] = b'{"event_id":"e37","occurred_at":"the day before"}\n'

    with _storing(warehouse_settings, grave) as storing:
        storing.store(lines, _just_now(), False)

    assert stored_ids(warehouse, warehouse_settings) == sorted(set(ids_of(100)) - {"e37"})
    assert grave.lines == [lines[37]]


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b'{"event_id":"x"\n',
        b'{"event_id":"x","occurred_at":"2026-13-01T00:00:00Z"}\n',
        b'{"event_id":"x","a_column_of_tomorrow":1}\n',
    ],
)
def test_store_buries_each_kind_of_unreadable_row(warehouse_settings: WarehouseSettings, line: bytes) -> None:
    grave = _Grave()

    with _storing(warehouse_settings, grave) as storing:
        storing.store([line], _just_now(), False)

    assert grave.lines == [line]


def test_store_waits_and_buries_nothing_when_the_table_is_missing(warehouse_settings: WarehouseSettings) -> None:
    grave, stopping = _Grave(), threading.Event()
    elsewhere = warehouse_settings.model_copy(update={"clickhouse_database": "nothing_migrated"})
    stopping.set()

    with closing(EventTable(elsewhere)) as table, pytest.raises(GivenUp):
        Storing(table, grave, stopping).store(lines_of(["a"]), _just_now(), False)

    assert grave.lines == []


def test_insert_says_that_a_wrong_password_is_refused(warehouse_settings: WarehouseSettings) -> None:
    stranger = warehouse_settings.model_copy(update={"clickhouse_username": "nobody"})

    with closing(EventTable(stranger)) as table, pytest.raises(StatementRefused):
        table.insert(lines_of(["a"]))
