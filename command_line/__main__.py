"""The `analytics` command: what an operator does from a shell, one subcommand a noun."""

import sys

import typer
from pydantic import ValidationError

from command_line import access, flags, importing, migrations, plan, quarantine, replay, stack_commands, verify
from ingest_api.config import settings_sentence

app = typer.Typer(name="analytics", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def _analytics() -> None:
    """Operate the analytics service. Addresses and secrets come from the environment, see README."""


app.command("migrate")(migrations.migrate_warehouse)
app.add_typer(access.token_app, name="token")
app.add_typer(access.key_app, name="key")
app.command("import")(importing.import_file)
app.add_typer(plan.plan_app, name="plan")
app.add_typer(flags.flags_app, name="flags")
app.add_typer(quarantine.quarantine_app, name="quarantine")
app.command("replay")(replay.replay)
app.command("verify")(verify.verify)
app.command("run", context_settings=stack_commands.PASS_ON)(stack_commands.run_command)
app.command("dbt", context_settings=stack_commands.PASS_ON)(stack_commands.run_dbt)
app.command("docs")(stack_commands.serve_docs)


def main() -> None:
    """Run one command; a wrong environment variable is one sentence, not a stack trace."""
    try:
        app()
    except ValidationError as error:
        typer.echo(f"analytics: {settings_sentence(error)}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
