import msgspec

from benchmarks.harness.load import Acknowledged
from benchmarks.harness.raw_table import RawTable, reckon
from benchmarks.harness.tracking import Sender
from warehouse.client import Client
from warehouse.config import WarehouseSettings


def store(warehouse: Client, settings: WarehouseSettings, *rows: tuple[int, int]) -> RawTable:
    """Rows of events, given by their number and the sending that they came with."""
    sender = Sender("run", "wk_key")
    lines = [
        {"event_id": event["eventId"], "properties": msgspec.json.encode({"attempt": f"{attempt:03}"}).decode()}
        for event, attempt in ((sender.event(number), attempt) for number, attempt in rows)
    ]
    table = f"`{settings.database('raw')}`.events"
    warehouse.raw_insert(table, insert_block=b"\n".join(map(msgspec.json.encode, lines)), fmt="JSONEachRow")
    return RawTable(warehouse, table)


def acknowledged(first: int, size: int) -> Acknowledged:
    return Acknowledged(first, size, 0, 0, 1)


def test_reckoning_finds_nothing_wrong_when_each_event_is_stored(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    table = store(warehouse, warehouse_settings, (0, 0), (1, 0), (2, 0))

    reckoning = reckon(table, [acknowledged(0, 2)], sent=3)

    assert reckoning.problems == []
    assert (reckoning.acknowledged, reckoning.stored, reckoning.rows) == (2, 3, 3)


def test_reckoning_finds_lost_and_foreign_events(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    table = store(warehouse, warehouse_settings, (0, 0), (7, 0))

    reckoning = reckon(table, [acknowledged(0, 3)], sent=3)

    assert (reckoning.lost, reckoning.foreign) == (2, 1)
    assert len(reckoning.problems) == 2


def test_reckoning_tells_who_has_doubled_an_event(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    table = store(warehouse, warehouse_settings, (0, 0), (0, 1), (1, 0), (1, 0), (1, 0))

    reckoning = reckon(table, [acknowledged(0, 2)], sent=2)

    assert (reckoning.doubled_by_client, reckoning.doubled_by_service) == (1, 2)
    assert reckoning.problems == []
