"""Numbered, forward-only SQL migrations with a ledger that remembers what was applied and its checksum."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from warehouse.client import Client, StatementRefused, warehouse_errors
from warehouse.config import WarehouseSettings

_UNKNOWN_DATABASE, _UNKNOWN_TABLE = 81, 60
_FILE_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_CLUSTER_ONLY = "-- cluster only\n"


class MigrationDrift(Exception):
    """An applied migration was edited, or the database is ahead of this code. Write a new migration instead."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `warehouse/migrations`."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text before rendering, so that it is the same in each environment."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, settings: WarehouseSettings) -> Iterator[str]:
        """Render the file for one environment: plain on a single server, `ON CLUSTER` and replicated on a cluster."""
        clustered = bool(settings.clickhouse_cluster)
        names = {
            "database": settings.clickhouse_database,
            "raw": settings.database("raw"),
            "ops": settings.database("ops"),
            "stats": settings.database("stats"),
            "cluster": settings.clickhouse_cluster,
            "on_cluster": f"ON CLUSTER `{settings.clickhouse_cluster}`" if clustered else "",
            # On a cluster each table is a replicated `<name>_local` behind a Distributed `<name>`.
            "local": "_local" if clustered else "",
            "merge_tree": "ReplicatedMergeTree" if clustered else "MergeTree",
            "replacing_merge_tree": "ReplicatedReplacingMergeTree" if clustered else "ReplacingMergeTree",
        }
        for block in self.text.split(";\n"):
            statement = block.strip()
            if not statement or (statement.startswith(_CLUSTER_ONLY) and not clustered):
                continue
            yield Template(statement.removeprefix(_CLUSTER_ONLY)).substitute(names)


def migrations() -> list[Migration]:
    """All migrations of this version of the code, lowest number first."""
    found = []
    for entry in files("warehouse").joinpath("migrations").iterdir():
        if match := _FILE_NAME.match(entry.name):
            found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def _applied(client: Client, settings: WarehouseSettings) -> dict[int, str]:
    ask = "SELECT version, argMin(checksum, applied_at) FROM {ops:Identifier}.migrations GROUP BY version"
    try:
        with warehouse_errors():
            rows = client.query(ask, parameters={"ops": settings.database("ops")}).result_rows
    except StatementRefused as error:
        if error.code in (_UNKNOWN_DATABASE, _UNKNOWN_TABLE):
            return {}
        raise
    return {int(version): str(checksum) for version, checksum in rows}


def pending(client: Client, settings: WarehouseSettings) -> list[Migration]:
    """Migrations that this code needs and the database lacks, in order.

    Raises:
        MigrationDrift: the ledger and the files disagree.
        WarehouseUnavailable: ClickHouse cannot be asked.
    """
    known = migrations()
    applied = _applied(client, settings)
    if unknown := sorted(applied.keys() - {migration.version for migration in known}):
        raise MigrationDrift(f"the database has migration {unknown[0]:04d}, unknown to this version: update the code")
    for migration in known:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationDrift(f"migration {migration.version:04d}_{migration.name} was edited after it was applied")
    return [migration for migration in known if migration.version not in applied]


def migrate(client: Client, settings: WarehouseSettings) -> list[Migration]:
    """Apply what is pending and return it. Each statement may be repeated, so an interrupted run is simply run again.

    Raises:
        MigrationDrift: the ledger and the files disagree; nothing is changed.
        StatementRefused: ClickHouse refused a statement; earlier ones stay applied.
    """
    todo = pending(client, settings)
    for migration in todo:
        with warehouse_errors():
            for statement in migration.statements(settings):
                client.command(statement)
            client.command(
                "INSERT INTO {ops:Identifier}.migrations (version, name, checksum)"
                " VALUES ({version:UInt32}, {name:String}, {checksum:String})",
                parameters={
                    "ops": settings.database("ops"),
                    "version": migration.version,
                    "name": migration.name,
                    "checksum": migration.checksum,
                },
            )
    return todo
