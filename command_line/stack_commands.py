"""`analytics run`, `dbt` and `docs`: other people's commands, told where the running stack is."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from local_stack.config import PROJECT_ROOT, StackSettings, inherited_environment
from local_stack.ports import LOOPBACK
from local_stack.processes import console_script
from local_stack.state_directory import StateDirectory
from local_stack.supervisor import programs_of

DBT_PROJECT = PROJECT_ROOT / "dbt"

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For commands whose arguments, `--help` too, belong to the command behind them."""


class NoStack(Exception):
    """There is no ClickHouse that a command could be told of."""

    def __init__(self, state: Path) -> None:
        super().__init__(f"no stack runs in {state}: start one with `make up`, or set CLICKHOUSE_HOST to use another")


def stack_environment(settings: StackSettings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the running local stack, or the caller's own when they say where ClickHouse is.

    Raises:
        NoStack: they do not, and no stack runs.
    """
    if inherited.get("CLICKHOUSE_HOST"):
        return dict(inherited)
    state = StateDirectory(settings.state_dir)
    places = {process.name: process.address for process in state.read_roster().processes}
    if state.holder() is None or "clickhouse" not in places:
        raise NoStack(state.path)
    # The roster knows the ports: the stack may have been started with others than this command's environment names.
    return {**programs_of(settings).environment, "CLICKHOUSE_HOST": places["clickhouse"].removeprefix("http://")}


def dbt_environment(environment: Mapping[str, str], target: str) -> dict[str, str]:
    """Return the variables for dbt on this project, from whatever directory it is called.

    Args:
        environment: that of the stack.
        target: directory within Dagster's own, whose manifest and parse Dagster's runs rely on.
    """
    return {
        "DBT_PROJECT_DIR": str(DBT_PROJECT),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        **environment,
        "DBT_TARGET_PATH": str(DBT_PROJECT / environment.get("DBT_TARGET_PATH", "target") / target),
    }


def run_command(context: typer.Context) -> None:
    """Run any command in the environment of the running stack: analytics run python -m dagster_project.prepare."""
    if not context.args:
        raise typer.BadParameter("name the command to run")
    _become(context.args, _environment())


def run_dbt(context: typer.Context) -> None:
    """Run dbt against the running stack; all arguments are dbt's: analytics dbt build --select my_mart."""
    _become([console_script("dbt"), *context.args], dbt_environment(_environment(), "by_hand"))


def serve_docs(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On the loopback interface; 0 for any free one.")] = 8080,
) -> None:
    """Generate dbt's documentation of the running stack's models, columns and tests, and serve it; works offline."""
    environment = dbt_environment(_environment(), "docs")
    generate = [console_script("dbt"), "docs", "generate", "--quiet", "--static"]
    if failure := subprocess.run(generate, env=environment, check=False).returncode:
        raise typer.Exit(failure)
    handler = partial(_Page, directory=environment["DBT_TARGET_PATH"])
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError as error:
        raise typer.BadParameter(f"port {port} is taken; name another", param_hint="--port") from error
    with server:
        typer.echo(f"The documentation is at http://{LOOPBACK}:{server.server_port}/ until Ctrl-C.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo()


class _Page(SimpleHTTPRequestHandler):
    """The one file that holds everything; what else dbt has written beside it is not served."""

    def translate_path(self, path: str) -> str:
        return super().translate_path("/static_index.html" if path.partition("?")[0] == "/" else "/nothing")

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads who looked at what."""


def _environment() -> dict[str, str]:
    try:
        return stack_environment(StackSettings(), inherited_environment())
    except NoStack as error:
        typer.echo(f"analytics: {error}", err=True)
        raise typer.Exit(1) from error


def _become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process, so that signals and the exit code are the command's own."""
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606
    except OSError as error:
        typer.echo(f"analytics: {command[0]}: {error.strerror}", err=True)
        raise typer.Exit(127) from error
