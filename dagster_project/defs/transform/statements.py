"""The statements of dbt in ClickHouse, told by the comment that the macro `statement_origin` puts before each."""

from datetime import datetime

from warehouse.client import Client, StatementRefused, WarehouseUnavailable, warehouse_errors
from warehouse.config import WarehouseSettings

_OF_ENVIRONMENT = """
startsWith(query, '/* {"app": "dbt"') AND position(query, concat('"environment": "', {environment:String}, '"')) > 0
"""
_OF_DAGSTER = f"""{_OF_ENVIRONMENT} AND position(query, '"run_by": "dagster"') > 0"""
_COST = f"""
SELECT
    sum(read_rows) AS rows_read,
    sum(read_bytes) AS bytes_read,
    sum(written_rows) AS rows_written,
    sum(query_duration_ms) / 1000 AS engine_seconds,
    max(memory_usage) AS peak_memory_bytes
FROM system.query_log
WHERE
    type != 'QueryStart' AND event_date >= toDate({{since:DateTime('UTC')}}) AND event_time >= {{since:DateTime('UTC')}}
    AND {_OF_ENVIRONMENT}
    AND position(query, concat('"invocation_id": "', {{invocation:String}}, '"')) > 0
    AND ({{node:String}} = '' OR position(query, concat('"node_id": "', {{node:String}}, '"')) > 0)
"""  # noqa: S608


def end_left_over_statements(client: Client, settings: WarehouseSettings) -> int:
    """End what the dbt of a killed run still has running in this environment; return how many statements there were.

    ClickHouse carries an insert through although nobody waits for it any more. Its rows would come in after those of
    the run that takes up the work, and look newer than they are.
    """
    parameters = {"environment": settings.clickhouse_database}
    sql = f"SELECT count() FROM system.processes WHERE {_OF_DAGSTER}"  # noqa: S608
    running = int(client.query(sql, parameters=parameters).result_rows[0][0])
    if running:
        # Waits until they have ended.
        client.command(f"KILL QUERY WHERE {_OF_DAGSTER} SYNC", parameters=parameters)
    return running


class QueryLog:
    """What the statements of one dbt command cost, where ClickHouse keeps a log that we may read."""

    def __init__(self, client: Client, settings: WarehouseSettings, since: datetime) -> None:
        self._client, self._environment, self._since = client, settings.clickhouse_database, since
        self._invocation, self._is_readable = "", True

    def cost_of(self, invocation: str, node: str) -> dict[str, float]:
        """Cost of a dbt node by the name of its figures; empty without a log."""
        self._invocation = invocation
        return self._read(node)

    def total(self) -> dict[str, float]:
        """Cost of the whole command."""
        return self._read("") if self._invocation else {}

    def _read(self, node: str) -> dict[str, float]:
        parameters = {
            "environment": self._environment,
            "invocation": self._invocation,
            "node": node,
            "since": self._since,
        }
        try:
            if self._is_readable:
                with warehouse_errors():
                    # It is written every few seconds.
                    self._client.command("SYSTEM FLUSH LOGS query_log")
                    return dict(self._client.query(_COST, parameters=parameters).first_item or {})
        except (StatementRefused, WarehouseUnavailable):
            # What a run cost is no reason for it to fail.
            self._is_readable = False
        return {}
