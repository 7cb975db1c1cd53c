from datetime import UTC, datetime

import dagster as dg
import pytest
import structlog.testing
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from dagster_project.defs.maintenance.staleness import describe_change

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SESSIONS = dg.AssetKey(["marts", "sessions"])


def find(instance: dg.DagsterInstance, key: dg.AssetKey, before: FreshnessState, after: FreshnessState) -> None:
    """What Dagster's daemon notes when the state of a table changes."""
    instance.report_runless_asset_event(
        FreshnessStateChange(key=key, previous_state=before, new_state=after, state_change_timestamp=NOW.timestamp())
    )


@pytest.mark.parametrize(
    ("known", "late", "text"),
    [
        ([], ["b", "a"], "Late: a, b"),
        (["a", "b"], ["b"], "Fresh again: a"),
        (["a"], ["b"], "Late: b. Fresh again: a"),
    ],
)
def test_alert_names_the_tables_that_became_late_or_fresh(known: list[str], late: list[str], text: str) -> None:
    alert = describe_change(known, late, NOW)

    assert alert is not None
    assert alert.text == text


def test_there_is_no_alert_when_nothing_has_changed() -> None:
    assert describe_change(["a"], ["a"], NOW) is None


def test_sensor_tells_a_late_table_once_and_when_it_is_fresh_again(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    sensor = definitions.resolve_sensor_def("freshness_alert_sensor")
    cursor: str | None = None

    def tick() -> list[str]:
        nonlocal cursor
        repository = definitions.get_repository_def()
        context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
        with structlog.testing.capture_logs() as logs:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        assert not result.run_requests
        cursor = result.cursor
        return [f"{line['late']} {line['fresh_again']}" for line in logs]

    quiet = tick()
    find(instance, SESSIONS, FreshnessState.PASS, FreshnessState.WARN)
    warned = tick()
    find(instance, SESSIONS, FreshnessState.WARN, FreshnessState.FAIL)
    late, later = tick(), tick()
    find(instance, SESSIONS, FreshnessState.FAIL, FreshnessState.PASS)
    fresh = tick()

    assert (quiet, warned, later) == ([], [], [])
    assert late == ["['marts/sessions'] []"]
    assert fresh == ["[] ['marts/sessions']"]
