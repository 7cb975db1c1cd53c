"""Migrations: what they make, what the ledger promises, and their form on a cluster."""

import dataclasses
import re
from datetime import datetime

import msgspec
import pytest

from warehouse import migrate as migrate_module
from warehouse.client import Client, StatementRefused, WarehouseUnavailable, connect, warehouse_errors
from warehouse.config import WarehouseSettings
from warehouse.migrate import Migration, MigrationDrift, migrate, migrations, pending
from warehouse.raw_events import DefinitionChange, FlagEvaluationCount, QuarantineReplay, RawEvent, RejectedEvent

PYTHON_TYPES = {
    "String": str,
    "LowCardinality(String)": str,
    "DateTime64(3, 'UTC')": datetime,
    "Int64": int,
    "UInt64": int,
    "Bool": bool,
    "Array(LowCardinality(String))": tuple[str, ...],
}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("events", RawEvent),
        ("rejected_events", RejectedEvent),
        ("quarantine_replays", QuarantineReplay),
        ("definition_changes", DefinitionChange),
        ("flag_evaluations", FlagEvaluationCount),
    ],
)
def test_row_matches_its_table(
    warehouse: Client, warehouse_settings: WarehouseSettings, table: str, row: type[msgspec.Struct]
) -> None:
    described = warehouse.query(
        "DESCRIBE TABLE {raw:Identifier}.{table:Identifier}",
        parameters={"raw": warehouse_settings.database("raw"), "table": table},
    )

    columns = [(column[0], PYTHON_TYPES[column[1]]) for column in described.result_rows if column[0] != "inserted_at"]

    assert [(field.name, field.type) for field in msgspec.structs.fields(row)] == columns


def test_migrate_does_nothing_the_second_time(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    assert pending(warehouse, warehouse_settings) == []

    assert migrate(warehouse, warehouse_settings) == []


def test_pending_lists_everything_when_the_environment_is_new(warehouse: Client) -> None:
    untouched = WarehouseSettings(clickhouse_database="test_never_migrated")

    assert pending(warehouse, untouched) == migrations()


def test_migrate_goes_on_after_an_interrupted_run(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    ops = {"ops": warehouse_settings.database("ops")}
    warehouse.command("DELETE FROM {ops:Identifier}.migrations WHERE version > 1", parameters=ops)

    applied = migrate(warehouse, warehouse_settings)

    assert applied == migrations()[1:]
    assert pending(warehouse, warehouse_settings) == []


def test_pending_refuses_when_an_applied_migration_was_edited(
    warehouse: Client, warehouse_settings: WarehouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = [dataclasses.replace(migrations()[0], text="SELECT 1;\n"), *migrations()[1:]]
    monkeypatch.setattr(migrate_module, "migrations", lambda: edited)

    with pytest.raises(MigrationDrift, match="0001_databases_and_ledger was edited"):
        pending(warehouse, warehouse_settings)


def test_pending_refuses_when_the_database_is_ahead(
    warehouse: Client, warehouse_settings: WarehouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "migrations", lambda: migrations()[:1])

    with pytest.raises(MigrationDrift, match="0002, unknown to this version"):
        pending(warehouse, warehouse_settings)


def test_migration_numbers_are_consecutive() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize("migration", migrations(), ids=lambda migration: migration.name)
@pytest.mark.parametrize("cluster", ["", "main"])
def test_every_statement_parses(warehouse: Client, migration: Migration, cluster: str) -> None:
    settings = WarehouseSettings(clickhouse_database="parsed", clickhouse_cluster=cluster)

    for statement in migration.statements(settings):
        assert "children" in str(warehouse.command(f"EXPLAIN AST {statement}"))


def test_every_table_is_replicated_and_distributed_on_a_cluster() -> None:
    settings = WarehouseSettings(clickhouse_database="clustered", clickhouse_cluster="main")
    statements = [statement for migration in migrations() for statement in migration.statements(settings)]

    created = [statement for statement in statements if statement.startswith("CREATE TABLE")]

    assert all("ON CLUSTER `main`" in statement for statement in statements)
    replicated = [one for one in created if re.search(r"ENGINE = Replicated(Replacing)?MergeTree", one)]
    assert len(replicated) == len(created) / 2
    assert sum("ENGINE = Distributed(`main`" in statement for statement in created) == len(created) / 2


def test_every_column_and_table_has_a_comment(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    ours = {"layers": [warehouse_settings.database(layer) for layer in ("raw", "ops", "stats")]}

    silent = [
        warehouse.query(
            f"{ask} WHERE comment = '' AND database IN {{layers:Array(String)}}", parameters=ours
        ).result_rows
        for ask in ("SELECT table, name FROM system.columns", "SELECT name FROM system.tables")
    ]

    assert silent == [[], []]


def test_warehouse_errors_tell_refused_from_unavailable(warehouse: Client) -> None:
    with pytest.raises(StatementRefused) as refused, warehouse_errors():
        warehouse.query("SELECT * FROM missing_table")
    with pytest.raises(WarehouseUnavailable):
        connect(WarehouseSettings(clickhouse_host="127.0.0.1:1"))

    assert refused.value.code == 60


def test_a_wrong_password_is_refused(warehouse_settings: WarehouseSettings) -> None:
    wrong = warehouse_settings.model_copy(
        update={"clickhouse_password": type(warehouse_settings.clickhouse_password)("no")}
    )

    with pytest.raises(StatementRefused):
        connect(wrong)
