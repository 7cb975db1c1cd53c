"""`analytics migrate`: bring the tables that dbt does not own up to this version of the code."""

from typing import Annotated

import typer

from warehouse.client import StatementRefused, WarehouseUnavailable, connect
from warehouse.config import WarehouseSettings
from warehouse.migrate import MigrationDrift, migrate, migrations, pending


def migrate_warehouse(
    check: Annotated[bool, typer.Option("--check", help="Only say what is pending; exit 1 when something is.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL of all migrations and touch nothing.")] = False,
) -> None:
    """Apply the pending migrations of raw, ops and stats tables, in order. Safe to repeat."""
    settings = WarehouseSettings()
    if sql:
        for migration in migrations():
            typer.echo(f"-- {migration.version:04d}_{migration.name}")
            for statement in migration.statements(settings):
                typer.echo(f"{statement};")
        return
    try:
        client = connect(settings)
        todo = pending(client, settings) if check else migrate(client, settings)
    except (WarehouseUnavailable, StatementRefused, MigrationDrift) as error:
        typer.echo(f"analytics migrate: {error}", err=True)
        raise typer.Exit(2) from error
    for migration in todo:
        typer.echo(f"{'pending' if check else 'applied'} {migration.version:04d}_{migration.name}")
    if not todo:
        typer.echo(f"{settings.clickhouse_database} is up to date")
    if check and todo:
        raise typer.Exit(1)
