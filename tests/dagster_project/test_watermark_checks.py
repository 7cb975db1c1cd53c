from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from tests.dagster_project.conftest import Prepared
from warehouse.client import Client
from warehouse.config import WarehouseSettings

NOW = datetime.now(UTC)
KEY = dg.AssetKey(["staging", "stg_events"])


@pytest.mark.parametrize(
    ("minutes", "passed", "severity"),
    [(0, True, "WARN"), (15, True, "WARN"), (16, False, "WARN"), (60, False, "WARN"), (61, False, "ERROR")],
)
def test_watermark_check_warns_after_a_quarter_and_fails_after_an_hour(
    environment: Prepared, minutes: int, passed: bool, severity: str
) -> None:
    from dagster_project.defs.transform.watermark_checks import judge

    result = judge(KEY, NOW - timedelta(minutes=minutes), NOW)

    assert result.passed is passed
    assert result.severity.value == severity
    assert result.metadata["seconds_behind"].value == minutes * 60


def test_watermark_check_fails_when_the_model_never_committed(environment: Prepared) -> None:
    from dagster_project.defs.transform.watermark_checks import judge

    result = judge(KEY, None, NOW)

    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR


def test_newest_watermark_counts_even_when_an_older_one_was_later_in_time(
    environment: Prepared, warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    from dagster_project.defs.transform.watermark_checks import read_watermarks

    rebuilt = datetime(2026, 1, 2, tzinfo=UTC)
    warehouse.insert(
        "watermarks",
        [["sessions", rebuilt + timedelta(days=1), NOW - timedelta(hours=1)], ["sessions", rebuilt, NOW]],
        column_names=["model", "high_watermark", "committed_at"],
        database=warehouse_settings.database("ops"),
    )

    watermarks = read_watermarks(warehouse, warehouse_settings)

    assert watermarks == {"sessions": rebuilt}
