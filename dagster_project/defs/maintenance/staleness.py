"""Tells people that a table is late, and when it is fresh again."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import dagster as dg
import msgspec
from dagster._core.definitions.freshness import FreshnessState

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.maintenance.alerts import Alert, send_alert


def watched_tables(repository: dg.RepositoryDefinition | None) -> list[dg.AssetKey]:
    """The tables that have a freshness policy."""
    return [node.key for node in repository.asset_graph.asset_nodes if node.freshness_policy] if repository else []


def late_tables(instance: dg.DagsterInstance, keys: Collection[dg.AssetKey]) -> set[str]:
    """Those of the tables that fail their freshness policy, as Dagster's daemon has found."""
    records = instance.get_freshness_state_records(list(keys))
    return {key.to_user_string() for key, record in records.items() if record.freshness_state == FreshnessState.FAIL}


def describe_change(known: Iterable[str], late: Iterable[str], now: datetime) -> Alert | None:
    """One alert for all tables that have become late or fresh since the last one; None when none has."""
    news = {"late": sorted(set(late) - set(known)), "fresh_again": sorted(set(known) - set(late))}
    if not any(news.values()):
        return None
    words = {"late": "Late", "fresh_again": "Fresh again"}
    return Alert(
        event="freshness_changed",
        text=". ".join(f"{words[state]}: {', '.join(tables)}" for state, tables in news.items() if tables),
        details={**news, "noticed_at": now.isoformat(timespec="seconds")},
    )


@dg.sensor(
    name="freshness_alert_sensor",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Logs which tables fail their freshness policy and which are fresh again, and sends it as "
    "failed_run_sensor does. Each table is told once. It starts no run.",
)
def freshness_alert_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Compare the late tables with those told before, which the cursor holds."""
    late = late_tables(context.instance, watched_tables(context.repository_def))
    known = msgspec.json.decode(context.cursor, type=list[str]) if context.cursor else []
    alert = describe_change(known, late, datetime.now(UTC))
    if alert:
        send_alert(alert, OrchestrationSettings())
    words = alert.text if alert else f"{len(late)} tables are late." if late else "Every table is fresh."
    return dg.SensorResult(skip_reason=words, cursor=msgspec.json.encode(sorted(late)).decode())
