"""`python -m local_stack`: run the whole service on this machine, without docker."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from local_stack.config import StackSettings, bypass_proxies
from local_stack.console import LogFollower, print_summary, status_table
from local_stack.dagster_api import RunFailed
from local_stack.demo import fill_shop, launch_marts, print_numbers, wait_for_marts
from local_stack.demo_data import DemoPlan
from local_stack.demo_headline import NumbersDiffer
from local_stack.demo_posting import EventsRefused
from local_stack.process import ProcessFailed
from local_stack.processes import Programs
from local_stack.stack import Stack, StopRequested
from local_stack.startup import (
    PortTaken,
    bring_up,
    check_ports,
    start_dagster_daemon,
    start_dagster_page,
    start_engines,
    start_serving,
)
from local_stack.state_directory import AlreadyRunning, StateDirectory
from local_stack.supervisor import mark_ready, programs_of, start_in_background, stop_running, supervised

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

StateDirOption = Annotated[
    Path | None, typer.Option("--state-dir", help="Where data, logs and secrets are kept; .analytics by default.")
]
PortOffsetOption = Annotated[
    int | None, typer.Option("--port-offset", min=0, help="Number added to every port, for a second stack.")
]
PRESS_CTRL_C = "Press Ctrl-C to stop everything."


@app.command()
def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Leave it running in the background.")] = False,
    logs: Annotated[bool, typer.Option("--logs/--no-logs", help="Print what the processes print.")] = True,
    dagster: Annotated[
        bool, typer.Option("--dagster/--no-dagster", help="Build marts, or only take events in.")
    ] = True,
    state_dir: StateDirOption = None,
    port_offset: PortOffsetOption = None,
) -> None:
    """Start everything and stay until Ctrl-C; a process that ends takes the others with it."""
    console = _console()
    with _sentences(console):
        programs = programs_of(_settings(state_dir, port_offset))
        if detach:
            start_in_background(programs, with_dagster=dagster)
            print_summary(console, programs)
            console.print("It runs in the background: `python -m local_stack status` shows it, `down` stops it.")
            return
        follower = LogFollower(console)
        with _supervised(programs, console) as stack:
            bring_up(stack, programs, console.print, with_dagster=dagster)
            mark_ready(stack, programs.state)
            # In the background nobody reads along, and a log file is no place for a token.
            if logs:
                print_summary(console, programs)
                console.print(PRESS_CTRL_C)
                follower.follow(stack.processes)
            stack.serve(follower.print_new_lines)


@app.command()
def down(state_dir: StateDirOption = None) -> None:
    """Stop a running stack; its data stays."""
    console = _console()
    state = StateDirectory(_settings(state_dir, None).state_dir)
    holder = state.holder()
    if holder is None:
        console.print("Nothing is running.")
        return
    with _sentences(console):
        stop_running(state, holder)
    console.print("Stopped.")


@app.command()
def status(state_dir: StateDirOption = None) -> None:
    """Show each process: state, pid, address, uptime, health. The exit code is 3 when nothing runs."""
    console = _console()
    state = StateDirectory(_settings(state_dir, None).state_dir)
    if state.holder() is None:
        console.print("Nothing is running.")
        raise typer.Exit(3)
    console.print(status_table(state.read_roster().processes, time.time()))


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, state_dir: StateDirOption = None
) -> None:
    """Delete all data, logs and secrets of a stopped stack."""
    state = StateDirectory(_settings(state_dir, None).state_dir)
    if holder := state.holder():
        typer.echo(f"The stack is running (process {holder}): stop it with `python -m local_stack down`.", err=True)
        raise typer.Exit(1)
    if not state.is_used():
        typer.echo(f"Nothing to delete in {state.path}.")
        return
    if not yes:
        typer.confirm(f"Delete all events, tables, logs and secrets in {state.path}?", abort=True)
    state.delete()
    typer.echo(f"Deleted {state.path}.")


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything when the numbers are printed.")] = False,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days of history, today included.")] = 30,
    events: Annotated[int, typer.Option(min=100, help="About how many events in all.")] = 200_000,
    state_dir: StateDirOption = None,
    port_offset: PortOffsetOption = None,
) -> None:
    """Fill the stack with a month of a made-up shop, build the marts through Dagster, and check the numbers."""
    console = _console()
    plan = DemoPlan(day_count=days, event_count=events)
    with _sentences(console):
        programs = programs_of(_settings(state_dir, port_offset))
        access = programs.state.read_access() if programs.state.is_ready() else None
        if access is not None:
            console.print("Using the stack that is already running.")
            history = fill_shop(plan, programs, access, console, pulse=_go_on)
            wait_for_marts(launch_marts(access, _go_on), access, console, _go_on)
            print_numbers(history, access, console)
            return
        with _supervised(programs, console) as stack:
            check_ports(programs.settings)
            start_engines(stack, programs, console.print)
            (preparation,) = stack.launch(programs.dagster_preparation())
            access = start_serving(stack, programs, console.print)
            history = fill_shop(plan, programs, access, console, stack.pulse)
            start_dagster_page(stack, programs, preparation, console.print)
            # Asked for before the daemon's sensors look, so that one run builds everything and not two.
            run_id = launch_marts(access, stack.pulse)
            start_dagster_daemon(stack, programs)
            mark_ready(stack, programs.state)
            wait_for_marts(run_id, access, console, stack.pulse)
            print_numbers(history, access, console)
            print_summary(console, programs)
            if not once:
                console.print(PRESS_CTRL_C)
                stack.serve()


def _console() -> Console:
    # A pipe or a file has no width, and at the default of 80 columns addresses would be cut.
    return Console(width=None if sys.stdout.isatty() else 120)


@contextmanager
def _supervised(programs: Programs, console: Console) -> Iterator[Stack]:
    with supervised(programs) as stack:
        try:
            # What went wrong is said before the stopping begins, which takes seconds.
            with _sentences(console):
                yield stack
        finally:
            console.print("Stopping everything.")


@contextmanager
def _sentences(console: Console) -> Iterator[None]:
    """End a command with one sentence for whatever can go wrong outside of the code."""
    try:
        yield
    except StopRequested as interruption:
        console.print("Interrupted.")
        raise typer.Exit(130) from interruption
    except (AlreadyRunning, EventsRefused, NumbersDiffer, PortTaken, ProcessFailed, RunFailed) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _go_on() -> None:
    """Nothing to watch: the processes belong to another supervisor."""


def _settings(state_dir: Path | None, port_offset: int | None) -> StackSettings:
    given: dict[str, Any] = {}
    if state_dir is not None:
        given["state_dir"] = state_dir.absolute()
    if port_offset is not None:
        given["port_offset"] = port_offset
    return StackSettings(**given)


def main() -> None:
    """Run one command; a wrong variable is one sentence, not a stack trace."""
    bypass_proxies()
    try:
        app()
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            name = str(problem["loc"][0]).upper().removeprefix("LOCAL_STACK_")
            typer.echo(f"LOCAL_STACK_{name}: {problem['msg']}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
