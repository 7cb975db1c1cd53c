"""Reading from ClickHouse in the event loop, connected at the first use, so that the API starts without it."""

import asyncio
from functools import cache
from importlib.resources import files
from typing import Any

import structlog

from ingest_api.errors import WarehouseAway
from warehouse.client import AsyncClient, WarehouseUnavailable, connect_async, warehouse_errors
from warehouse.config import WarehouseSettings

QUERY_SECONDS = 20
_CONNECT_SECONDS = 3

log = structlog.get_logger(__name__)


@cache
def statement(package: str, file_name: str) -> str:
    """A statement that lies in the folder `sql` of a package."""
    return files(package).joinpath("sql", file_name).read_text(encoding="utf-8")


class WarehouseReader:
    """A connection that is made when it is first needed and tried again after each failure."""

    def __init__(self, settings: WarehouseSettings) -> None:
        self.settings = settings
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()

    async def rows(
        self, sql: str, parameters: dict[str, object], *, timeout_seconds: float = QUERY_SECONDS
    ) -> list[dict[str, Any]]:
        """Run one SELECT with server-bound parameters (`{name:Type}`) and return its rows by column name.

        Raises:
            WarehouseAway: ClickHouse cannot be reached or did not answer within the time.
            StatementRefused: ClickHouse refused the statement, for example because a table does not exist.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                client = await self._connected()
                with warehouse_errors():
                    limit = {"max_execution_time": max(1, int(timeout_seconds))}
                    result = await client.query(sql, parameters=parameters, settings=limit)
                    return list(result.named_results())
        except (WarehouseUnavailable, TimeoutError) as error:
            log.warning("warehouse_unavailable", reason=str(error) or f"no answer within {timeout_seconds:g} seconds")
            raise WarehouseAway(
                "ClickHouse does not answer; events are still accepted. Try again in a few seconds."
            ) from error

    async def close(self) -> None:
        """Close the connection, when there is one."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    self._client = await connect_async(self.settings)
            return self._client
