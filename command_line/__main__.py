"""The `analytics` command: what an operator does from a shell, one subcommand a noun."""

import sys

import typer
from pydantic import ValidationError

from command_line import migrations

app = typer.Typer(name="analytics", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def _analytics() -> None:
    """Operate the analytics service. Addresses and secrets come from the environment, see README."""


app.command("migrate")(migrations.migrate_warehouse)


def main() -> None:
    """Run one command; a wrong environment variable is one sentence, not a stack trace."""
    try:
        app()
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]).upper()
            typer.echo(f"analytics: {name}: {problem['msg']}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
