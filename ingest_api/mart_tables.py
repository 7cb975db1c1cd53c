"""Reading tables that dbt builds, which need not be there yet."""

from datetime import datetime
from typing import Any

from ingest_api.errors import MartsNotBuilt
from ingest_api.warehouse_reader import WarehouseReader, statement
from warehouse.client import StatementRefused

_UNKNOWN_TABLE, _UNKNOWN_DATABASE = 60, 81
_BUILD_SECONDS = 60


async def read_marts(warehouse: WarehouseReader, sql: str, parameters: dict[str, object]) -> list[dict[str, Any]]:
    """The rows of a statement over marts.

    Raises:
        MartsNotBuilt: a table does not exist yet.
        WarehouseAway: ClickHouse does not answer.
        StatementRefused: ClickHouse refuses it for another reason.
    """
    try:
        return await warehouse.rows(sql, parameters)
    except StatementRefused as error:
        if error.code not in (_UNKNOWN_TABLE, _UNKNOWN_DATABASE):
            raise
        raise MartsNotBuilt(
            "The mart tables do not exist yet: run the hourly job in Dagster, or `dbt build`.",
            retry_after_seconds=_BUILD_SECONDS,
        ) from error


async def data_until(warehouse: WarehouseReader, *tables: str) -> datetime | None:
    """Until when received data is in all of these tables; None when one of them was never built.

    Ask it before the tables: then what they hold is never older than it says. Raises as `read_marts` does.
    """
    parameters: dict[str, object] = {"ops": warehouse.settings.database("ops"), "models": list(tables)}
    rows = await read_marts(warehouse, statement("ingest_api", "watermarks.sql"), parameters)
    return min(row["as_of"] for row in rows) if len(rows) == len(tables) else None
