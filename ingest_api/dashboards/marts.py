"""Reading mart tables, and as of when they are."""

from datetime import datetime
from typing import Any

from pydantic import Field

from ingest_api.camel_model import CamelModel
from ingest_api.dashboards.periods import Period
from ingest_api.mart_tables import data_until, read_marts
from ingest_api.warehouse_reader import WarehouseReader, statement


class ReportPeriod(CamelModel):
    """Whole UTC days, both ends inclusive."""

    start_date: str = Field(examples=["2026-01-01"], json_schema_extra={"format": "date"})
    end_date: str = Field(examples=["2026-01-30"], json_schema_extra={"format": "date"})
    days: int
    is_complete: bool = Field(description="False while data of its last day can still come in")


class Report(CamelModel):
    """What every report says about itself."""

    as_of: datetime | None = Field(description="Data received until then is in all tables that the report reads")
    period: ReportPeriod
    previous_period: ReportPeriod = Field(description="The same number of days just before; `previous` values are its")
    sources: list[str] = Field(description="The tables that the report reads")


class Marts:
    """The marts of one environment, for reports about one period."""

    def __init__(self, warehouse: WarehouseReader, period: Period) -> None:
        self._warehouse = warehouse
        self._database = warehouse.settings.database("marts")
        self.period = period

    async def rows(self, sql_file: str, **parameters: object) -> list[dict[str, Any]]:
        """Run a file of `sql/`; beside `parameters` it may use `{marts:Identifier}` and the period's dates.

        Raises:
            MartsNotBuilt: a table does not exist yet.
            WarehouseAway: ClickHouse does not answer.
        """
        days = {
            "previous_start": self.period.previous().start,
            "start": self.period.start,
            "end": self.period.end,
        }
        return await read_marts(
            self._warehouse,
            statement("ingest_api.dashboards", sql_file),
            {"marts": self._database, **days, **parameters},
        )

    async def heading(self, *tables: str) -> dict[str, Any]:
        """The members of `Report` for a report that reads these tables.

        Ask it before the tables: then what they hold is never older than `as_of` says.
        """
        as_of = await data_until(self._warehouse, *tables)
        return {
            "as_of": as_of,
            "period": _described(self.period, as_of),
            "previous_period": _described(self.period.previous(), as_of),
            "sources": [f"{self._database}.{table}" for table in tables],
        }


def _described(period: Period, as_of: datetime | None) -> ReportPeriod:
    return ReportPeriod(
        start_date=period.start.isoformat(),
        end_date=period.end.isoformat(),
        days=period.days,
        is_complete=period.is_complete(as_of),
    )
