import json
import threading
import time
from datetime import UTC, datetime, timedelta

from dagster_project.defs.transform.statements import QueryLog, end_left_over_statements
from warehouse.client import Client, StatementRefused, connect, warehouse_errors
from warehouse.config import WarehouseSettings


def comment(environment: str, run_by: str = "dagster") -> str:
    """What `statement_origin` in the dbt project writes."""
    origin = {"app": "dbt", "environment": environment, "run_by": run_by, "invocation_id": "i-1", "node_id": "model.m"}
    return f"/* {json.dumps(origin)} */"


class Running:
    """A statement that takes a minute unless somebody ends it."""

    def __init__(self, settings: WarehouseSettings, prefix: str) -> None:
        self.client, self.refusal = connect(settings), None
        self._sql = f"{prefix}\nSELECT sum(sleepEachRow(0.05)) FROM numbers(1200) SETTINGS max_block_size = 1"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with warehouse_errors():
                self.client.query(self._sql)
        except StatementRefused as refusal:
            self.refusal = refusal

    def has_ended(self, within_seconds: float) -> bool:
        self._thread.join(within_seconds)
        return not self._thread.is_alive()


def wait_until_running(client: Client, count: int) -> None:
    deadline = time.monotonic() + 10
    sql = "SELECT count() FROM system.processes WHERE query LIKE '/* {%sleepEachRow%'"
    while client.query(sql).result_rows[0][0] < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_statements_of_a_killed_dbt_are_ended_and_no_others(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    environment = warehouse_settings.clickhouse_database
    left_over = Running(warehouse_settings, comment(environment))
    others = [
        Running(warehouse_settings, comment("another_environment")),
        Running(warehouse_settings, comment(environment, run_by="hand")),
    ]
    wait_until_running(warehouse, 3)

    ended = end_left_over_statements(warehouse, warehouse_settings)

    assert ended == 1
    assert left_over.has_ended(within_seconds=5)
    assert left_over.refusal is not None
    assert not any(other.has_ended(within_seconds=0.2) for other in others)
    warehouse.command("KILL QUERY WHERE startsWith(query, '/* {') SYNC")
    assert all(other.has_ended(within_seconds=5) for other in others)


def test_nothing_is_ended_when_nothing_runs(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    assert end_left_over_statements(warehouse, warehouse_settings) == 0


def test_cost_of_a_node_is_that_of_its_statements(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    since = datetime.now(UTC) - timedelta(seconds=1)
    mine = comment(warehouse_settings.clickhouse_database)
    for sql in ("SELECT sum(number) FROM numbers(1000)", "SELECT sum(number) FROM numbers(500)"):
        warehouse.query(f"{mine}\n{sql}", settings={"log_queries": 1})
    other = comment("another_environment")
    warehouse.query(f"{other}\nSELECT sum(number) FROM numbers(9)", settings={"log_queries": 1})

    log = QueryLog(warehouse, warehouse_settings, since)
    cost, nothing = log.cost_of("i-1", "model.m"), log.cost_of("i-1", "model.other")

    assert (cost["rows_read"], cost["bytes_read"]) == (1500, 1500 * 8)
    assert cost["engine_seconds"] >= 0
    assert nothing["rows_read"] == 0
    assert log.total() == cost
