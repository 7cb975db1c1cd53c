"""`analytics replay`: stored events into the stream once more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from command_line.stored_events import StoredEvents, Window
from ingest_api.config import StreamSettings
from ingest_api.errors import StreamAway
from ingest_api.events.stream import EventStream, Rows, open_event_stream
from warehouse.client import AsyncClient, StatementRefused, WarehouseUnavailable, connect_async
from warehouse.config import WarehouseSettings

_PATIENCE_SECONDS = 300.0
_INTERRUPTED = 130
_FULL = "stream_full"
_UNKNOWN = frozenset({60, 81})

_encoder = msgspec.json.Encoder()


class ReplayFailed(Exception):
    """The replay cannot begin or go on; the message says what to do."""


async def replay_events(
    settings: WarehouseSettings,
    stream_settings: StreamSettings,
    window: Window,
    into: WarehouseSettings,
    *,
    is_dry_run: bool = False,
    patience_seconds: float = _PATIENCE_SECONDS,
    on_progress: Callable[[int, int, str], None] = lambda rows, total, state: None,
) -> tuple[int, int]:
    """Append the stored events of a window to the stream of an environment, as they are.

    While the stream is full this waits as long as it takes.

    Args:
        settings: where the events are.
        stream_settings: where the stream is, and how full it may get.
        window: which events.
        into: the environment that gets them.
        is_dry_run: only count.
        patience_seconds: how long Valkey or ClickHouse may be away.
        on_progress: called with the rows done, the rows there are, and what is being waited for, if anything.

    Returns:
        How many rows were read, and how many events were given to the stream: rows with the same id that are not far
        apart are one event.

    Raises:
        ReplayFailed: Valkey or ClickHouse is away for too long, or the tables do not exist.
    """
    async with _warehouse(settings) as client:
        await _require_tables(client, into)
        stored = StoredEvents(client, settings.database("raw"), window)
        total = await stored.count()
        if is_dry_run:
            return total, 0
        rows = events = 0
        async with open_event_stream(
            stream_settings.redis_url, into.clickhouse_database, stream_settings.analytics_stream_max_bytes
        ) as stream:
            on_progress(rows, total, "")
            async for part in stored.parts():
                if part.events:
                    lines = Rows(events=_encoder.encode_lines(part.events), event_count=len(part.events))
                    await _append(stream, lines, patience_seconds, lambda state: on_progress(rows, total, state))  # noqa: B023
                rows += part.rows
                events += len(part.events)
                on_progress(rows, total, "")
        return rows, events


async def _append(stream: EventStream, rows: Rows, patience_seconds: float, on_wait: Callable[[str], None]) -> None:
    """Append insistently: what was stored and not confirmed comes twice, and counts once."""

    def is_over(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        is_full = isinstance(error, StreamAway) and error.code == _FULL
        return not is_full and (state.seconds_since_start or 0.0) > patience_seconds

    def waiting(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        on_wait("the stream is full" if isinstance(error, StreamAway) and error.code == _FULL else "Valkey is away")

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StreamAway),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=is_over,
        before_sleep=waiting,
        reraise=True,
    )
    try:
        async for attempt in retrying:
            with attempt:
                await stream.append(rows)
    except StreamAway as error:
        raise ReplayFailed(f"{error}; run the same command again, no event counts twice") from error


@asynccontextmanager
async def _warehouse(settings: WarehouseSettings) -> AsyncIterator[AsyncClient]:
    try:
        client = await connect_async(settings)
        try:
            yield client
        finally:
            await client.close()
    except (WarehouseUnavailable, StatementRefused) as error:
        if isinstance(error, StatementRefused) and error.code in _UNKNOWN:
            raise ReplayFailed(f"{settings.clickhouse_database} has no tables: run `analytics migrate`") from error
        raise ReplayFailed(str(error)) from error


async def _require_tables(client: AsyncClient, into: WarehouseSettings) -> None:
    answer = await client.query(
        "SELECT count() FROM system.tables WHERE database = {raw:String} AND name = 'events'",
        parameters={"raw": into.database("raw")},
    )
    if not answer.result_rows[0][0]:
        name = into.clickhouse_database
        raise ReplayFailed(f"{name} has no tables: run `CLICKHOUSE_DATABASE={name} analytics migrate`")


def replay(
    from_: Annotated[str, typer.Option("--from", help="Events received at or after: ISO 8601; no zone means UTC")],
    to: Annotated[str, typer.Option("--to", help="Events received before")],
    into: Annotated[
        str | None, typer.Option(metavar="DATABASE", help="CLICKHOUSE_DATABASE of the environment that gets them")
    ] = None,
    event_name: Annotated[str, typer.Option(help="Only events of this name")] = "",
    source: Annotated[str, typer.Option(help="Only events of this source")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the rows.")] = False,
) -> None:
    """Feed the stored events of a window into the stream again, as they are, under their own ids.

    Into another environment (--into) this brings the data, for example to try other models on it. Into the same one it
    changes no number, because ids count once; it makes the models look at these events again as if they had just come.
    Safe to repeat and to interrupt. The target's flusher stores the events.
    """
    settings, stream_settings = WarehouseSettings(), StreamSettings()
    target = _target(settings, into)
    window = Window(_moment("--from", from_), _moment("--to", to), event_name, source)
    if window.start >= window.end:
        raise typer.BadParameter("must be later than --from", param_hint="--to")
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.completed:,} rows"), TimeElapsedColumn(), console=Console(stderr=True),
    )  # fmt: skip
    name = f"into {target.clickhouse_database}"
    task = bar.add_task(name, total=None)

    def show(rows: int, total: int, waiting_for: str) -> None:
        bar.update(
            task, completed=rows, total=total, description=f"{name} (waiting: {waiting_for})" if waiting_for else name
        )

    try:
        with bar:
            rows, events = asyncio.run(
                replay_events(settings, stream_settings, window, target, is_dry_run=dry_run, on_progress=show)
            )
    except ReplayFailed as error:
        typer.echo(f"analytics replay: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo("analytics replay: interrupted; the same command does it all again, no event counts twice", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    if dry_run:
        typer.echo(f"{rows:,} rows would be replayed {name}")
    else:
        typer.echo(f"{rows:,} rows read, {events:,} events {name}; its flusher stores them")


def _target(settings: WarehouseSettings, into: str | None) -> WarehouseSettings:
    if into is None:
        return settings
    try:
        return WarehouseSettings.model_validate(settings.model_dump() | {"clickhouse_database": into})
    except ValidationError as error:
        raise typer.BadParameter("is a-z, 0-9 and _, a letter first, at most 63", param_hint="--into") from error


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter("is not ISO 8601, for example 2026-01-31T08:00Z", param_hint=option) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
