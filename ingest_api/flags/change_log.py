"""The audit trail of definitions in ClickHouse: what they were, and what is known of them when Valkey has lost them."""

from datetime import datetime
from typing import Any, NamedTuple

from flags.redis_store import Revision
from ingest_api.warehouse_reader import QUERY_SECONDS, WarehouseReader, statement


class LoggedChange(NamedTuple):
    """One change of a definition, see `raw.definition_changes`."""

    change_id: str
    version: int
    action: str
    actor: str
    comment: str
    before: str
    after: str
    changed_at: datetime


class ChangeLog:
    """Reads `raw.definition_changes`. Every method may raise `WarehouseAway`.

    A change is in the table one flush interval after it was made.
    """

    def __init__(self, warehouse: WarehouseReader) -> None:
        self._warehouse = warehouse

    async def latest(self, timeout_seconds: float) -> dict[str, Revision]:
        """The last version of every definition, by name; deleted ones too."""
        rows = await self._rows("latest_definitions.sql", timeout_seconds)
        return {f"{row['kind']}:{row['key']}": Revision(row["latest"], row["document"].encode()) for row in rows}

    async def history(self, kind: str, key: str, before_version: int, limit: int) -> list[LoggedChange]:
        """Changes of a definition before a version, the newest first."""
        rows = await self._rows(
            "history.sql", QUERY_SECONDS, kind=kind, key=key, before_version=before_version, limit=limit
        )
        return [LoggedChange(**{name: row[name] for name in LoggedChange._fields}) for row in rows]

    async def _rows(self, file_name: str, timeout_seconds: float, **parameters: object) -> list[dict[str, Any]]:
        sql = statement("ingest_api.flags", file_name)
        named = {"raw": self._warehouse.settings.database("raw"), **parameters}
        return await self._warehouse.rows(sql, named, timeout_seconds=timeout_seconds)
