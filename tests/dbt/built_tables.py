"""The tables that dbt builds, read from its manifest: a new model stands under every test that goes over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from warehouse.client import Client
from warehouse.config import WarehouseSettings

RUN_COLUMNS = ("_version", "inserted_at", "first_inserted_at")
"""Columns that tell which run wrote a row of a state table: later than the watermark before it."""
WHEN_FOUND = {"_version", "refreshed_at"}
"""Columns that say when a row was found and not what is in it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A model that is stored, or a view behind stored ones."""

    name: str
    layer: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """Of a state table, to which rows are only added; empty for the others, whose parts are replaced whole."""
    counts_events: bool
    """Whether it stands behind raw.events, so that the same events must give the same rows."""

    @property
    def run_column(self) -> str | None:
        return next((column for column in RUN_COLUMNS if column in self.columns), None)

    def qualified(self, settings: WarehouseSettings) -> str:
        return f"`{settings.database(self.layer)}`.{self.name}"

    def fingerprint(self, client: Client, settings: WarehouseSettings, without: set[str]) -> tuple[int, ...]:
        """Number of rows and two sums of their hashes, without some of the columns."""
        columns = ", ".join(column for column in self.columns if column not in without)
        final = "FINAL" if self.key else ""
        rows = f"SELECT cityHash64(*) AS row FROM (SELECT {columns} FROM {self.qualified(settings)} {final})"
        answer = client.query(f"SELECT count(), groupBitXor(row), sum(row) FROM ({rows})")
        return tuple(answer.result_rows[0])


def built_tables(manifest: Mapping[str, Any]) -> list[Table]:
    """Every table, each after those that it reads."""
    models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    reads = {key: sorted(models.keys() & set(node["depends_on"]["nodes"])) for key, node in sorted(models.items())}
    behind_events = _behind("source.analytics.raw.events", manifest["child_map"])
    return [
        Table(
            name=models[key]["name"],
            layer=models[key]["fqn"][1],
            columns=tuple(models[key]["columns"]),
            key=tuple(models[key]["config"]["unique_key"] or ()),
            counts_events=key in behind_events,
        )
        for key in TopologicalSorter(reads).static_order()
        if models[key]["config"]["materialized"] != "view" or models[key]["fqn"][1] != "staging"
    ]


def marts(manifest: Mapping[str, Any]) -> list[Table]:
    """What readers see of the events."""
    return [table for table in built_tables(manifest) if table.layer == "marts" and table.counts_events]


def _behind(source: str, children: Mapping[str, list[str]]) -> set[str]:
    found, unseen = set[str](), [source]
    while unseen:
        news = set(children[unseen.pop()]) - found
        found |= news
        unseen += news
    return found
