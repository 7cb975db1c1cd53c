"""The audit trail of definitions in ClickHouse: what they were, and what is known of them when Valkey has lost them."""

from datetime import datetime
from typing import Any, NamedTuple

from flags.redis_store import Revision
from ingest_api.warehouse_reader import WarehouseReader, statement


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

    async def latest(self) -> dict[str, Revision]:
        """The last version of every definition, by name; deleted ones too."""
        rows = await self._rows("latest_definitions.sql")
        return {f"{row['kind']}:{row['key']}": Revision(row["latest"], row["document"].encode()) for row in rows}

    async def history(self, kind: str, key: str, before_version: int, limit: int) -> list[LoggedChange]:
        """Changes of a definition before a version, the newest first."""
        rows = await self._rows("history.sql", kind=kind, key=key, before_version=before_version, limit=limit)
        return [LoggedChange(**{name: row[name] for name in LoggedChange._fields}) for row in rows]

    async def document_at(self, kind: str, key: str, version: int) -> str | None:
        """What a definition was at a version: JSON, empty when it was deleted then; None when that is not known."""
        found = [one for one in await self.history(kind, key, version + 1, 1) if one.version == version]
        return found[0].after if found else None

    async def _rows(self, file_name: str, **parameters: object) -> list[dict[str, Any]]:
        raw = self._warehouse.settings.database("raw")
        return await self._warehouse.rows(statement("ingest_api.flags", file_name), {"raw": raw, **parameters})
