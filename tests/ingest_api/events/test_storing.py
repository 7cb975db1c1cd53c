import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from benchmarks.harness.dies_at_rename import die_at_next_rename, start_gateway_that_can_die
from ingest_api.events.flusher_events import Unobserved
from ingest_api.events.raw_tables import RawTables
from ingest_api.events.storing import GivenUp, Storing
from local_stack.clickhouse_users import write_users_file
from local_stack.processes import free_port, start_gateway
from tests.conftest import Gateway, fresh_settings
from tests.ingest_api.events.events_given import batch_given, ids_of, lines_of, rejected_rows, stored_ids
from tests.ingest_api.events.losing_proxy import LosingProxy, Moment
from warehouse.client import Client, WarehouseUnavailable, connect
from warehouse.config import WarehouseSettings

POISON = (
    b'{"event_id":"poison","event_name":"page_view","user_id":"u1","occurred_at":"the day before",'
    b'"received_at":"2026-01-31T08:30:00Z","properties":"{\\"a\\": 1}","context":"{}","source":"web"}\n'
)


class _Grave:
    """Keeps what is buried."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def __call__(self, fields: Mapping[bytes, bytes], reason: str) -> None:
        assert reason
        self.lines.append(fields[b"line"])


class _Notes(Unobserved):
    """Remembers what was inserted and repaired."""

    def __init__(self) -> None:
        self.inserted_rows: list[tuple[str, int]] = []
        self.repaired_rows: list[tuple[str, int]] = []

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        self.inserted_rows.append((table, rows))

    def repaired(self, table: str, rows: int) -> None:
        self.repaired_rows.append((table, rows))


class _Case:
    """Storing into one environment."""

    def __init__(self, settings: WarehouseSettings) -> None:
        self.tables = RawTables(settings)
        self.grave, self.notes, self.stopping = _Grave(), _Notes(), threading.Event()
        self.storing = Storing(self.tables, self.grave, self.stopping, self.notes)

    def close(self) -> None:
        self.tables.close()


@pytest.fixture
def case(warehouse_settings: WarehouseSettings) -> Iterator[_Case]:
    with closing(_Case(warehouse_settings)) as case:
        yield case


@pytest.fixture
def proxy(gateway: Gateway) -> Iterator[LosingProxy]:
    with LosingProxy(gateway.port, b"INSERT") as proxy:
        yield proxy


def test_store_fills_the_tables_in_order(case: _Case, warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    replay = b'{"replay_id":"p","rejection_id":"r","event_id":"e","outcome":"accepted"}\n'
    rejection = b'{"rejection_id":"r","event_id":"e","code":"field_missing","payload":"{}"}\n'

    case.storing.store(
        batch_given({"events": b"".join(lines_of(["e"])), "rejected_events": rejection, "quarantine_replays": replay})
    )

    replays = f"SELECT replay_id, outcome FROM {warehouse_settings.database('raw')}.quarantine_replays"
    assert case.notes.inserted_rows == [("events", 1), ("rejected_events", 1), ("quarantine_replays", 1)]
    assert stored_ids(warehouse, warehouse_settings) == ["e"]
    assert [row.rejection_id for row in rejected_rows(warehouse, warehouse_settings)] == ["r"]
    assert warehouse.query(replays).result_rows == [("p", "accepted")]


@pytest.mark.parametrize("when", ["before", "after"])
def test_store_stores_once_when_the_answer_is_lost(
    warehouse: Client, warehouse_settings: WarehouseSettings, proxy: LosingProxy, when: Moment
) -> None:
    through_proxy = warehouse_settings.model_copy(update={"clickhouse_host": f"127.0.0.1:{proxy.port}"})
    proxy.lose(2, when)

    with closing(_Case(through_proxy)) as case:
        case.storing.store(batch_given({"events": b"".join(lines_of(ids_of(5)))}))

    assert stored_ids(warehouse, warehouse_settings) == ids_of(5)
    assert case.grave.lines == []


def test_store_stores_once_when_several_store_the_same_doubtful_batch_at_once(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    batch = batch_given({"events": b"".join(lines_of(ids_of(2000)))}, is_doubtful=True)
    cases = [_Case(warehouse_settings) for _ in range(4)]
    threads = [threading.Thread(target=case.storing.store, args=(batch,)) for case in cases]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stored_ids(warehouse, warehouse_settings) == sorted(ids_of(2000))
    assert [case.notes.repaired_rows for case in cases] == [[], [], [], []]


def test_store_inserts_nothing_when_all_of_a_doubtful_batch_is_there(
    case: _Case, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    lines = b"".join(lines_of(ids_of(3)))
    # As if it had come in last month: its token is unknown now.
    case.tables.insert("events", lines, "a token of another partition")

    case.storing.store(batch_given({"events": lines}, is_doubtful=True))

    assert stored_ids(warehouse, warehouse_settings) == ids_of(3)
    assert case.notes.inserted_rows == []


def test_store_repairs_what_a_token_that_was_used_up_for_nothing_keeps_out(
    case: _Case, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    batch = batch_given({"events": b"".join(lines_of(ids_of(5)))}, is_doubtful=True)
    for token in (batch.token, f"{batch.token}:r1"):
        case.tables.insert("events", b"".join(lines_of(["e1"])), token)

    case.storing.store(batch)

    assert stored_ids(warehouse, warehouse_settings) == ["e0", "e1", "e1", "e2", "e3", "e4"]
    assert case.notes.repaired_rows[-1] == ("events", 4)


def test_store_repairs_what_clickhouse_lost_when_it_was_killed_at_the_rename_of_the_part(tmp_path: Path) -> None:
    users, port = tmp_path / "users.xml", free_port()
    write_users_file(users, "secret", "secret")
    process = start_gateway_that_can_die(tmp_path, port, users)
    try:
        process.wait_healthy()
        settings = fresh_settings(Gateway(port, "secret", "secret", process))
        batch = batch_given({"events": b"".join(lines_of(ids_of(5)))}, is_doubtful=True)
        with closing(_Case(settings)) as case:
            with connect(settings) as warehouse:
                # A merge of another table would be the next rename.
                warehouse.command("SYSTEM STOP MERGES")
                while warehouse.query("SELECT count() FROM system.merges").result_rows != [(0,)]:
                    pass
            die_at_next_rename(process.pid)
            with pytest.raises(WarehouseUnavailable):
                case.tables.insert("events", batch.tables["events"], batch.token)
            died_of = process.wait_exit(10)
            process = start_gateway(tmp_path, port, users)
            process.wait_healthy()

            case.tables.close()
            case.tables.insert("events", batch.tables["events"], batch.token)
            with connect(settings) as warehouse:
                with_the_same_token = stored_ids(warehouse, settings)
                case.storing.store(batch)
                repaired = stored_ids(warehouse, settings)
    finally:
        process.stop()

    assert died_of == -signal.SIGSYS
    assert with_the_same_token == []
    assert repaired == ids_of(5)
    assert case.notes.repaired_rows == [("events", 5)]


@pytest.mark.parametrize("is_doubtful", [False, True])
def test_store_rejects_the_one_event_that_clickhouse_refuses_and_keeps_the_others(
    case: _Case, warehouse: Client, warehouse_settings: WarehouseSettings, is_doubtful: bool
) -> None:
    lines = lines_of(ids_of(100))
    lines[37] = POISON
    batch = batch_given({"events": b"".join(lines), "rejected_events": b'{"rejection_id":"r","event_id":"a"}\n'})

    case.storing.store(batch)
    case.storing.store(replace(batch, is_doubtful=is_doubtful))

    of_api, of_warehouse = rejected_rows(warehouse, warehouse_settings)
    assert stored_ids(warehouse, warehouse_settings) == sorted(set(ids_of(100)) - {"e37"})
    assert of_api.rejection_id == "r"
    assert (of_warehouse.event_id, of_warehouse.code, of_warehouse.rejected_by, of_warehouse.source) == (
        "poison",
        "refused_by_warehouse",
        "warehouse",
        "web",
    )
    assert "occurred_at" in of_warehouse.message
    assert msgspec.json.decode(of_warehouse.payload)["timestamp"] == "the day before"
    assert case.grave.lines == []


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b'{"event_id":"x"\n',
        b'{"event_id":"x","occurred_at":"2026-13-01T00:00:00Z"}\n',
        b'{"event_id":"x","a_column_of_tomorrow":1}\n',
    ],
)
def test_store_rejects_each_kind_of_unreadable_event(
    case: _Case, warehouse: Client, warehouse_settings: WarehouseSettings, line: bytes
) -> None:
    case.storing.store(batch_given({"events": line}))

    [rejected] = rejected_rows(warehouse, warehouse_settings)
    assert (rejected.code, rejected.is_complete) == ("refused_by_warehouse", True)
    assert stored_ids(warehouse, warehouse_settings) == []


def test_store_buries_what_another_table_refuses(case: _Case, warehouse_settings: WarehouseSettings) -> None:
    poison = b'{"rejection_id":"x","received_at":"never"}\n'

    case.storing.store(batch_given({"rejected_events": poison + b'{"rejection_id":"r"}\n'}))

    assert case.grave.lines == [poison]


def test_store_buries_a_row_that_clickhouse_takes_and_nobody_can_look_up(
    case: _Case, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    unreadable = b'{"event_id":"\xff"}\n'

    case.storing.store(batch_given({"events": unreadable + b"".join(lines_of(["a"]))}, is_doubtful=True))

    assert case.grave.lines == [unreadable]
    assert stored_ids(warehouse, warehouse_settings).count("a") == 1


def test_store_waits_and_sets_nothing_aside_when_the_table_is_missing(warehouse_settings: WarehouseSettings) -> None:
    elsewhere = warehouse_settings.model_copy(update={"clickhouse_database": "nothing_migrated"})
    with closing(_Case(elsewhere)) as case:
        case.stopping.set()

        with pytest.raises(GivenUp):
            case.storing.store(batch_given({"events": b"".join(lines_of(["a"]))}))

    assert case.grave.lines == []
