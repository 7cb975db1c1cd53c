"""`analytics import`: events from a data file, through the same door as all others."""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from command_line.event_posting import EventPoster, PostingFailed, Refused
from command_line.import_progress import ImportProgress, ImportReport, RejectedRow
from command_line.row_mapping import EventMapping, UnmappableRow, WrongMapping, read_mapping
from command_line.row_sources import MalformedRow, Row, UnreadableFile, content_identity, open_rows

CHECKPOINT_DIRECTORY = Path(".analytics/imports")
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class _Batch:
    """Consecutive rows, and what became of each before anything was sent."""

    rows: int
    events: list[dict[str, Any]]
    sources: list[tuple[int, Row]]
    """Number and row of each event."""
    rejected: list[RejectedRow]


def import_rows(
    path: Path,
    mapping: Mapping[str, str],
    *,
    url: str,
    key: str,
    batch_rows: int = 1000,
    concurrency: int = 4,
    checkpoint: Path | None = None,
    patience_seconds: float = 300.0,
    on_progress: Callable[[ImportReport, float], None] = lambda report, share: None,
) -> ImportReport:
    """Post each row of a file as an event and return when each was accepted, rejected or skipped.

    An import that was interrupted goes on where it stopped when it is called again with the same file, mapping and
    address. Importing a file twice gives the same event ids, so nothing counts twice.

    Args:
        path: see `row_sources.open_rows`.
        mapping: see `row_mapping`.
        url: address of the API, for example `http://127.0.0.1:3007`.
        key: write key, or a token that may send events.
        batch_rows: rows to a request.
        concurrency: requests on their way at the same time.
        checkpoint: file that remembers what is done; by default one in `CHECKPOINT_DIRECTORY`.
        patience_seconds: how long the API may be away before the import stops.
        on_progress: called after each batch with the report so far and the share of the file that was read.

    Raises:
        UnreadableFile, WrongMapping: the file or the mapping is no good; call again when it is.
        PostingFailed: the API is away for too long or refuses the key; call again to go on.
    """
    identity = content_identity(path)
    fingerprint = hashlib.sha256(msgspec.json.encode([identity, dict(mapping), url])).hexdigest()
    progress = ImportProgress(checkpoint or CHECKPOINT_DIRECTORY / f"{fingerprint[:16]}.json", fingerprint)
    with (
        open_rows(path) as source,
        closing(EventPoster(url, key, patience_seconds, concurrency)) as poster,
        ThreadPoolExecutor(concurrency) as threads,
        progress,
    ):
        event_mapping = EventMapping(mapping, source.columns)
        numbered = islice(enumerate(source.rows, start=1), progress.report.rows, None)
        waiting: deque[tuple[_Batch, Future[list[Refused]]]] = deque()

        def settle_oldest() -> None:
            batch, answer = waiting[0]
            refused = answer.result()
            waiting.popleft()
            rejected = [*batch.rejected, *_rejected_rows(batch, refused)]
            progress.add(batch.rows, len(batch.events) - len(refused), rejected)
            on_progress(progress.report, source.done())

        try:
            for batch in _batches(numbered, event_mapping, identity, batch_rows):
                waiting.append((batch, threads.submit(poster.post, batch.events)))
                if len(waiting) > concurrency:
                    settle_oldest()
            while waiting:
                settle_oldest()
        finally:
            poster.stop()
            for _, answer in waiting:
                answer.cancel()
    progress.finish()
    return progress.report


def _batches(
    numbered: Iterator[tuple[int, Row | MalformedRow]], mapping: EventMapping, identity: str, batch_rows: int
) -> Iterator[_Batch]:
    while rows := list(islice(numbered, batch_rows)):
        batch = _Batch(len(rows), [], [], [])
        for number, row in rows:
            if isinstance(row, MalformedRow):
                batch.rejected.append(RejectedRow(number, "row_malformed", "", row.problem, row.text))
                continue
            try:
                event = mapping.event(row, identity, number)
            except UnmappableRow as error:
                batch.rejected.append(RejectedRow(number, "row_unmappable", error.field, str(error), row))
                continue
            if event is not None:
                batch.events.append(event)
                batch.sources.append((number, row))
        yield batch


def _rejected_rows(batch: _Batch, refused: Sequence[Refused]) -> Iterator[RejectedRow]:
    for one in refused:
        number, row = batch.sources[one.index]
        yield RejectedRow(number, one.code, one.field, one.message, row)


def import_file(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help=".csv, .tsv, .ndjson, .jsonl (.gz, .zst), .parquet")
    ],
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="field=column, field={{ expression }}, or a .yml file; may be repeated"),
    ] = None,
    url: Annotated[str, typer.Option(help="Address of the API")] = "http://127.0.0.1:3007",
    key: Annotated[
        str, typer.Option(envvar="ANALYTICS_WRITE_KEY", help="Write key; its source is stored with the events")
    ] = "",
    batch_rows: Annotated[int, typer.Option(min=1, max=10_000, help="Rows to a request")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at the same time")] = 4,
    checkpoint: Annotated[Path | None, typer.Option(help="File to resume from; one for each import by default")] = None,
) -> None:
    """Post the rows of a data file as events. Safe to repeat and to interrupt: no row counts twice.

    Fields: eventName (required), userId, anonymousId, sessionId, eventId, timestamp, eventType, properties.<name>,
    context.<name>; a :number, :boolean or :json after a member's name turns text into that type. A row whose eventName
    comes out empty is skipped.
    """
    if not key:
        raise typer.BadParameter("give --key or set ANALYTICS_WRITE_KEY (make one with `analytics key issue`)")
    console, started = Console(stderr=True), time.monotonic()
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"), TimeElapsedColumn(), console=console,
    )  # fmt: skip
    task = bar.add_task(file.name, total=1.0, rows=0)
    try:
        with bar:
            report = import_rows(
                file,
                read_mapping(map_ or ()),
                url=url,
                key=key,
                batch_rows=batch_rows,
                concurrency=concurrency,
                checkpoint=checkpoint,
                on_progress=lambda report, share: bar.update(task, completed=share, rows=report.rows),
            )
    except (UnreadableFile, WrongMapping, PostingFailed) as error:
        typer.echo(f"analytics import: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo("analytics import: interrupted; the same command goes on from here", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    _print_report(report, time.monotonic() - started)


def _print_report(report: ImportReport, seconds: float) -> None:
    rate = (report.rows - report.resumed_at) / max(seconds, 0.001)
    typer.echo(
        f"{report.rows:,} rows: {report.accepted:,} accepted, {report.rejected:,} rejected, {report.skipped:,} skipped "
        f"({seconds:.1f} s, {rate:,.0f} rows/s)"
    )
    if report.resumed_at:
        typer.echo(f"resumed after row {report.resumed_at:,}")
    if report.rejected_path is not None:
        typer.echo(f"rejected rows and reasons: {report.rejected_path}")
