"""`analytics quarantine`: rejected events, and taking them in after all, through the API."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from command_line.api_connection import ApiConnection
from command_line.api_session import URL, Token, Url, answer_of, api_session

quarantine_app = typer.Typer(help="Rejected events: look at them, take them in after a fix.", no_args_is_help=True)

_PATH = "/api/analytics/quarantine"
_REPLAYED_AT_ONCE = 500
_SHOWN = 20
_PIPE_WIDTH = 240

Code = Annotated[str | None, typer.Option(help="Only this reason, for example field_missing")]
Source = Annotated[str | None, typer.Option(help="Only this source")]
EventName = Annotated[str | None, typer.Option(help="Only events of this name")]
Since = Annotated[str | None, typer.Option(help="Received at or after: ISO 8601, UTC when it names no zone")]
Until = Annotated[str | None, typer.Option(help="Received before")]
Status: TypeAlias = Literal["waiting", "replayed", "all"]


@quarantine_app.command("list")
def list_rejections(
    code: Code = None,
    source: Source = None,
    event_name: EventName = None,
    since: Since = None,
    until: Until = None,
    status: Annotated[Status, typer.Option(help="Whether they were taken in by a replay")] = "waiting",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most to show")] = 50,
    url: Url = URL,
    token: Token = "",
) -> None:
    """Show rejected events, the newest first."""
    chosen = _chosen(code, source, event_name, since, until)
    with api_session("quarantine", url, token) as api:
        page = answer_of(api.get(_PATH, **chosen, status=status, limit=limit))
    table = Table("ID", "Received", "Event", "Source", "Code", "Field", "Message", "State")
    for one in page["items"]:
        state = "replayed" if one["status"] == "replayed" else "waiting" if one["isComplete"] else "incomplete"
        texts = (one[name] for name in ("eventName", "source", "code", "field", "message"))
        table.add_row(one["rejectionId"], _moment(one["receivedAt"]), *(escape(text) for text in texts), state)
    if not table.row_count:
        typer.echo("No rejected event matches.")
        return
    # A pipe has no width; at the default of 80 columns ids would be cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
    if page["nextCursor"]:
        typer.echo(f"Only the newest {limit:,} are shown; see --limit and --until.")


@quarantine_app.command("show")
def show_rejection(
    rejection_id: Annotated[str, typer.Argument(metavar="ID", help="From `analytics quarantine list`.")],
    url: Url = URL,
    token: Token = "",
) -> None:
    """Show one rejected event with its payload and every attempt to replay it, as JSON."""
    with api_session("quarantine", url, token) as api:
        shown = answer_of(api.get(f"{_PATH}/{quote(rejection_id, safe='')}"))
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@quarantine_app.command("replay")
def replay_rejections(
    rejection_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Rejections to replay.")] = None,
    code: Code = None,
    source: Source = None,
    event_name: EventName = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    url: Url = URL,
    token: Token = "",
) -> None:
    """Judge rejected events again, and store those that pass now under their own ids. Safe to repeat.

    Name rejections, or choose those that wait by code, source, event name and time. The exit code is 1 when some stay
    rejected.
    """
    chosen = _chosen(code, source, event_name, since, until)
    if bool(rejection_ids) + bool(chosen) + everything != 1:
        raise typer.BadParameter("name rejections by their ids, or filter them, or give --all")
    accepted, reasons, examples = 0, Counter[str](), Table("ID", "Event ID", "Code", "Message")
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} rejections"),
        TimeElapsedColumn(), console=Console(stderr=True),
    )  # fmt: skip
    with api_session("quarantine", url, token) as api, bar:
        task = bar.add_task("replay", total=len(rejection_ids) if rejection_ids else None)
        for answer in _replayed(api, rejection_ids, chosen, dry_run):
            accepted += answer["accepted"]
            for one in answer["items"]:
                if one["outcome"] == "rejected":
                    reasons[one["code"]] += 1
                    if examples.row_count < _SHOWN:
                        texts = (one[name] for name in ("rejectionId", "eventId", "code", "message"))
                        examples.add_row(*(escape(text) for text in texts))
            bar.advance(task, len(answer["items"]))
    if examples.row_count:
        Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(examples)
    verb = "would be accepted" if dry_run else "accepted"
    counted = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    typer.echo(f"{accepted:,} {verb}, {reasons.total():,} rejected once more{f' ({counted})' if counted else ''}")
    if reasons:
        raise typer.Exit(1)


def _replayed(
    api: ApiConnection, rejection_ids: list[str] | None, chosen: dict[str, str], dry_run: bool
) -> Iterator[dict[str, Any]]:
    """The answers of the API, one for each request."""
    if rejection_ids:
        for start in range(0, len(rejection_ids), _REPLAYED_AT_ONCE):
            ids = rejection_ids[start : start + _REPLAYED_AT_ONCE]
            yield _post_replay(api, {"rejectionIds": ids, "dryRun": dry_run})
        return
    asked: dict[str, Any] = {"filter": chosen, "limit": _REPLAYED_AT_ONCE, "dryRun": dry_run}
    while True:
        answer = _post_replay(api, asked)
        yield answer
        if answer["nextCursor"] is None:
            return
        asked["cursor"] = answer["nextCursor"]


def _post_replay(api: ApiConnection, asked: dict[str, Any]) -> dict[str, Any]:
    return answer_of(api.post(f"{_PATH}/replay", msgspec.json.encode(asked)))


def _chosen(
    code: str | None, source: str | None, event_name: str | None, since: str | None, until: str | None
) -> dict[str, str]:
    """The filter as the API names its members."""
    given = {"code": code, "source": source, "eventName": event_name, "since": since, "until": until}
    return {name: value for name, value in given.items() if value is not None}


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
