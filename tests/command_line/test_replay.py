"""`analytics replay`, between two environments on real engines."""

import asyncio
import secrets
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import typer
from redis import Redis
from typer.testing import CliRunner, Result

from command_line import replay as replaying
from command_line.replay import ReplayFailed, replay_events
from command_line.stored_events import COLUMNS, Window
from ingest_api.config import StreamSettings
from ingest_api.events.entries import EVENTS, unpack
from ingest_api.events.flusher import open_flusher
from ingest_api.events.stream import stream_keys
from local_stack.processes import free_port
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.events.events_given import running
from tests.ingest_api.serving import seconds_until
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import RawEvent

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = Window(NOON, NOON + timedelta(days=1))


def event(number: int, **changed: Any) -> RawEvent:
    """An event that was received `number` milliseconds after noon."""
    fields: dict[str, Any] = {
        "event_id": f"e{number}",
        "event_name": "page_view",
        "event_type": "page_view",
        "user_id": "ada",
        "anonymous_id": "",
        "session_id": "s",
        "occurred_at": NOON - timedelta(days=9, milliseconds=number),
        "received_at": NOON + timedelta(milliseconds=number),
        "properties": '{"page":"/"}',
        "context": "{}",
        "source": "web",
    }
    return RawEvent(**fields | changed)


def store(client: Client, settings: WarehouseSettings, *events: RawEvent) -> None:
    client.insert(
        "events",
        [msgspec.structs.astuple(one) for one in events],
        column_names=COLUMNS,
        database=settings.database("raw"),
        settings={"insert_deduplicate": 0},
    )


@pytest.fixture
def elsewhere(gateway: Gateway) -> WarehouseSettings:
    """Another environment on the same ClickHouse."""
    return fresh_settings(gateway)


@pytest.fixture
def redis(valkey: Valkey) -> Iterator[Redis]:
    with Redis.from_url(valkey.url) as redis:
        yield redis


@pytest.fixture
def stream_settings(valkey: Valkey) -> StreamSettings:
    return StreamSettings(redis_url=valkey.url, analytics_flush_interval=50)


def streamed(redis: Redis, settings: WarehouseSettings) -> list[RawEvent]:
    """The events in the stream of an environment, in order."""
    entries = redis.xrange(stream_keys(settings.clickhouse_database).events)
    lines = b"".join(unpack(entry_id, fields).tables[EVENTS] for entry_id, fields in entries)
    return msgspec.json.Decoder(RawEvent).decode_lines(lines)


def columns_of(client: Client, settings: WarehouseSettings) -> list[tuple[Any, ...]]:
    """All rows of `raw.events` with all columns that a client fills."""
    answer = client.query(f"SELECT {', '.join(COLUMNS)} FROM {settings.database('raw')}.events ORDER BY event_id")
    return [tuple(row) for row in answer.result_rows]


def test_replay_carries_every_column_but_the_time_of_insertion(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    answer = warehouse.query(
        f"SELECT name FROM system.columns WHERE database = '{warehouse_settings.database('raw')}' AND table = 'events'"
    )

    assert {row[0] for row in answer.result_rows} == {*COLUMNS, "inserted_at"}


async def test_replay_gives_another_environment_the_rows_as_they_are(
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    stream_settings: StreamSettings,
    elsewhere: WarehouseSettings,
) -> None:
    rich = event(
        1,
        user_id='ü"\\\n\t\x00',
        clock_skew_ms=-(2**40),
        warnings=("unknown_field", "clock_skew_corrected"),
        ip="192.0.2.0",
        country="DE",
        user_agent="Mozilla/5.0",
        device_type="mobile",
        os_name="iOS",
        os_version="17.4",
        browser_name="Mobile Safari",
        browser_version="17",
        is_bot=True,
        occurred_at=datetime(2299, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    )
    store(warehouse, warehouse_settings, rich, event(2, occurred_at=datetime(1900, 1, 1, tzinfo=UTC)))

    done = await replay_events(warehouse_settings, stream_settings, DAY, elsewhere)

    assert done == (2, 2)
    with running(open_flusher(stream_settings, elsewhere)):
        await asyncio.to_thread(seconds_until, lambda: len(columns_of(warehouse, elsewhere)) == 2)
    assert columns_of(warehouse, elsewhere) == columns_of(warehouse, warehouse_settings)


async def test_replay_takes_the_window_without_its_end_and_what_the_filters_name(
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    stream_settings: StreamSettings,
    elsewhere: WarehouseSettings,
    redis: Redis,
) -> None:
    store(warehouse, warehouse_settings, *(event(number) for number in range(5)))
    store(warehouse, warehouse_settings, event(5, event_name="it's"), event(6, source="ios"))
    window = Window(event(1).received_at, event(4).received_at)

    await replay_events(warehouse_settings, stream_settings, window, elsewhere)
    assert [one.event_id for one in streamed(redis, elsewhere)] == ["e1", "e2", "e3"]

    for chosen in (Window(DAY.start, DAY.end, "it's"), Window(DAY.start, DAY.end, source="ios")):
        await replay_events(warehouse_settings, stream_settings, chosen, elsewhere)
    assert [one.event_id for one in streamed(redis, elsewhere)][3:] == ["e5", "e6"]


async def test_replay_reads_a_large_window_in_parts_and_sends_an_id_once(
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    stream_settings: StreamSettings,
    elsewhere: WarehouseSettings,
    redis: Redis,
) -> None:
    events = [event(number) for number in range(5000)]
    store(warehouse, warehouse_settings, *events)
    store(warehouse, warehouse_settings, *events[:3000])
    progress: list[tuple[int, int, str]] = []

    done = await replay_events(
        warehouse_settings, stream_settings, DAY, elsewhere, on_progress=lambda *state: progress.append(state)
    )

    assert done == (8000, 5000)
    assert sorted(streamed(redis, elsewhere), key=lambda one: one.received_at) == events
    assert len(progress) > 2
    assert progress[-1] == (8000, 8000, "")


async def test_replay_into_the_same_environment_ends_and_brings_no_new_id(
    warehouse: Client, warehouse_settings: WarehouseSettings, stream_settings: StreamSettings
) -> None:
    store(warehouse, warehouse_settings, *(event(number) for number in range(3000)))

    with running(open_flusher(stream_settings, warehouse_settings)):
        done = [await replay_events(warehouse_settings, stream_settings, DAY, warehouse_settings) for _ in range(2)]

    assert done[0] == (3000, 3000)
    assert len({row[0] for row in columns_of(warehouse, warehouse_settings)}) == 3000


async def test_replay_waits_while_the_stream_is_full(
    warehouse: Client,
    warehouse_settings: WarehouseSettings,
    valkey: Valkey,
    elsewhere: WarehouseSettings,
    redis: Redis,
) -> None:
    store(warehouse, warehouse_settings, *(event(number) for number in range(2500)))
    ballast = f"test_{secrets.token_hex(4)}"
    bound = redis.info("memory")["used_memory"] + 16 * 1024**2
    redis.set(ballast, b"x" * 64 * 1024**2)
    full = threading.Event()

    def watch(rows: int, total: int, waiting_for: str) -> None:
        if waiting_for == "the stream is full":
            full.set()

    replayed = asyncio.create_task(
        replay_events(
            warehouse_settings,
            StreamSettings(redis_url=valkey.url, analytics_stream_max_bytes=bound),
            DAY,
            elsewhere,
            patience_seconds=0,
            on_progress=watch,
        )
    )
    try:
        await asyncio.to_thread(full.wait, 15)
        assert full.is_set()
    finally:
        redis.delete(ballast)

    assert await replayed == (2500, 2500)


async def test_replay_fails_when_valkey_stays_away(
    warehouse: Client, warehouse_settings: WarehouseSettings, elsewhere: WarehouseSettings
) -> None:
    store(warehouse, warehouse_settings, event(1))
    nowhere = StreamSettings(redis_url=f"redis://127.0.0.1:{free_port()}")

    with pytest.raises(ReplayFailed, match="run the same command again"):
        await replay_events(warehouse_settings, nowhere, DAY, elsewhere, patience_seconds=0.2)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, warehouse_settings: WarehouseSettings, valkey: Valkey) -> None:
    monkeypatch.setenv("REDIS_URL", valkey.url)
    for name, value in warehouse_settings.model_dump().items():
        text = value.get_secret_value() if name == "clickhouse_password" else value
        monkeypatch.setenv(name.upper(), text)


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(replaying.replay)
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.usefixtures("environment")
def test_replay_command_says_what_it_did(
    warehouse: Client, warehouse_settings: WarehouseSettings, elsewhere: WarehouseSettings, redis: Redis
) -> None:
    store(warehouse, warehouse_settings, *(event(number) for number in range(1200)))
    window = ("--from", "2026-01-31T12:00Z", "--to", "2026-02-01")

    counted = run(*window, "--into", elsewhere.clickhouse_database, "--dry-run")
    assert counted.stdout == f"1,200 rows would be replayed into {elsewhere.clickhouse_database}\n", counted.output
    assert streamed(redis, elsewhere) == []

    done = run(*window, "--into", elsewhere.clickhouse_database)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"1,200 rows read, 1,200 events into {elsewhere.clickhouse_database};")
    assert len(streamed(redis, elsewhere)) == 1200


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--from", "yesterday", "--to", "2026-02-01"], 2, "ISO 8601"),
        (["--from", "2026-02-01", "--to", "2026-02-01"], 2, "later than --from"),
        (["--from", "2026-01-01"], 2, "--to"),
        (["--from", "2026-01-01", "--to", "2026-02-01", "--into", "Prod-1"], 2, "a-z, 0-9"),
        (
            ["--from", "2026-01-01", "--to", "2026-02-01", "--into", "no_such_place"],
            1,
            "CLICKHOUSE_DATABASE=no_such_place analytics migrate",
        ),
    ],
    ids=["wrong moment", "empty window", "half a window", "wrong name", "unknown environment"],
)
def test_replay_command_says_what_is_wrong(arguments: Sequence[str], exit_code: int, message: str) -> None:
    done = run(*arguments)

    assert done.exit_code == exit_code, done.output
    assert message in done.output
    assert "Traceback" not in done.output
