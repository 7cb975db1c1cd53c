"""`analytics plan`: draft the tracking plan, look for slips in it, write the models that follow from it."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from command_line.plan_draft import draft
from command_line.plan_inference import Period, observe
from command_line.plan_models import MODELS_DIRECTORY, differences, write_files
from ingest_api.tracking_plan.plan import PlanInvalid, TrackingPlan, load_plan
from local_stack.config import PROJECT_ROOT
from warehouse.client import StatementRefused, WarehouseUnavailable, connect
from warehouse.config import WarehouseSettings

plan_app = typer.Typer(help="The tracking plan: which events are expected with which properties.", no_args_is_help=True)

PlanDirectory = Annotated[
    Path, typer.Option("--plan", envvar="ANALYTICS_TRACKING_PLAN", file_okay=False, help="Directory of the plan")
]
PLAN_DIRECTORY = PROJECT_ROOT / "dbt" / "tracking_plan"


@plan_app.command("check")
def check_plan(
    plan: PlanDirectory = PLAN_DIRECTORY,
    generated: Annotated[bool, typer.Option("--generated", help="Also compare the typed staging models.")] = False,
) -> None:
    """Read every file and name each slip; exit 1 when there is one."""
    tracking_plan = _loaded(plan)
    files = len(set(tracking_plan.files.values()))
    if generated and (lines := differences(tracking_plan, _models(plan))):
        for line in lines:
            typer.echo(line, err=True)
        typer.echo("analytics plan: the models are not in step; run `analytics plan models`", err=True)
        raise typer.Exit(1)
    typer.echo(f"{len(tracking_plan.events)} events in {files} {'file' if files == 1 else 'files'}, nothing wrong")


@plan_app.command("models")
def write_models(plan: PlanDirectory = PLAN_DIRECTORY) -> None:
    """Write the typed staging models: one view per planned event, one column per property."""
    tracking_plan, directory = _loaded(plan), _models(plan)
    changes = differences(tracking_plan, directory)
    write_files(tracking_plan, directory)
    typer.echo(f"{len(tracking_plan.events)} models in {directory}, {len(changes)} files changed")


@plan_app.command("infer")
def infer_plan(
    first_day: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day of arrival")
    ] = None,
    last_day: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC day of arrival")
    ] = None,
    event: Annotated[list[str] | None, typer.Option(help="Only this event; may be repeated")] = None,
    output: Annotated[Path | None, typer.Option(dir_okay=False, help="A new file; by default to the terminal")] = None,
) -> None:
    """Draft a file of the plan from the events that arrived. It never holds a value of a property that has many."""
    if output is not None and output.exists():
        raise typer.BadParameter(f"{output} exists and may have been edited; name a new file", param_hint="--output")
    given = {"first": first_day, "last": last_day}
    period = Period(**{end: day.date() for end, day in given.items() if day is not None})
    settings = WarehouseSettings()
    try:
        with closing(connect(settings)) as client:
            text = "\n".join(draft(observe(client, settings, period, event or ()))) + "\n"
    except (WarehouseUnavailable, StatementRefused) as error:
        typer.echo(f"analytics plan: {error}", err=True)
        raise typer.Exit(2) from error
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {output}")


def _loaded(directory: Path) -> TrackingPlan:
    try:
        return load_plan(directory)
    except PlanInvalid as error:
        for problem in error.problems:
            typer.echo(f"analytics plan: {problem}", err=True)
        raise typer.Exit(1) from error


def _models(plan_directory: Path) -> Path:
    return plan_directory.parent / MODELS_DIRECTORY
