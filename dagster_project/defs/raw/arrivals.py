"""The sensor that starts a run when events have arrived."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.raw.assets import RAW_EVENTS
from dagster_project.defs.resources import WarehouseResource
from dagster_project.defs.schedules import hot_marts_job
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import FRESHNESS_PROBE

STAGING_MODEL = "stg_events"
"""The model that reads the raw table: what is behind its watermark has been taken in."""

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

# The event of the freshness probe is no reason for a run: it comes each minute for ever. The newest other one is read
# from the end of the table, which is in order of arrival.
# The newest row of a model counts, not its greatest: a table that is built anew starts again at 1970.
_ARRIVALS = """
SELECT
    ifNull((
        SELECT inserted_at FROM {raw:Identifier}.events
        WHERE event_name != {probe:String} ORDER BY inserted_at DESC LIMIT 1
    ), toDateTime64(0, 3, 'UTC')),
    assumeNotNull((SELECT max(requested_at) FROM {ops:Identifier}.replay_requests)),
    assumeNotNull((
        SELECT argMax(high_watermark, committed_at) FROM {ops:Identifier}.watermarks WHERE model = {model:String}
    )),
    assumeNotNull((SELECT max(committed_at) FROM {ops:Identifier}.watermarks)),
    (
        SELECT count() FROM {raw:Identifier}.events
        WHERE inserted_at > {reported_until:DateTime64(3, 'UTC')} AND event_name != {probe:String}
    )
"""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What the raw tables hold, against what the models have taken in. Without rows a moment is 1970."""

    last_event_at: datetime
    last_replay_request_at: datetime
    taken_until: datetime
    """High watermark of the newest successful run."""
    last_batch_at: datetime
    """When a model last committed a batch."""
    unreported_rows: int
    """Raw rows later than the moment the caller has reported already."""

    @property
    def latest_at(self) -> datetime:
        """The newest event or replay request."""
        return max(self.last_event_at, self.last_replay_request_at)


def read_arrivals(client: Client, settings: WarehouseSettings, reported_until: datetime) -> Arrivals:
    """Read the state of arrivals in one statement, of which no part reads the whole table of events."""
    answer = client.query(
        _ARRIVALS,
        parameters={
            "raw": settings.database("raw"),
            "ops": settings.database("ops"),
            "model": STAGING_MODEL,
            "reported_until": reported_until,
            "probe": FRESHNESS_PROBE,
        },
    )
    return Arrivals(*answer.result_rows[0])


def reason_to_wait(arrivals: Arrivals, now: datetime, interval: timedelta, *, run_active: bool) -> str | None:
    """Say why no run is due, or None when one is."""
    if arrivals.latest_at <= arrivals.taken_until:
        return "No event or replay request since the last batch."
    if run_active:
        return "A run is queued or running; it takes in what has arrived, or the next one does."
    due_at = arrivals.last_batch_at + interval
    if now < due_at:
        return f"The last batch is younger than {interval.total_seconds():.0f} s; the next is due at {due_at:%H:%M:%S}."
    return None


@dg.sensor(
    name="new_events_sensor",
    job=hot_marts_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the hot job when events or replay requests wait, and reports arrivals on the raw events asset.",
)
def new_events_sensor(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
    """Compare the raw tables with the watermark of staging.

    A run is asked for once per state of the two: a batch that fails on its data is tried again by the hourly
    schedule, or as soon as more events arrive.
    """
    reported_until = datetime.fromtimestamp(float(context.cursor or 0), UTC)
    with warehouse.client() as client:
        arrivals = read_arrivals(client, warehouse.settings, reported_until)

    events: list[dg.AssetMaterialization] = []
    if arrivals.unreported_rows:
        events.append(
            dg.AssetMaterialization(
                RAW_EVENTS,
                metadata={
                    "new_rows": arrivals.unreported_rows,
                    "last_event_at": dg.MetadataValue.timestamp(arrivals.last_event_at),
                },
            )
        )
    cursor = str(max(arrivals.last_event_at, reported_until).timestamp())

    interval = timedelta(seconds=OrchestrationSettings().analytics_run_interval_seconds)
    active = context.instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED)) > 0
    reason = reason_to_wait(arrivals, datetime.now(UTC), interval, run_active=active)
    if reason:
        return dg.SensorResult(skip_reason=reason, asset_events=events, cursor=cursor)
    request = dg.RunRequest(
        run_key=f"{arrivals.taken_until.isoformat()}/{arrivals.latest_at.isoformat()}",
        tags={"arrived_until": arrivals.latest_at.isoformat()},
    )
    return dg.SensorResult(run_requests=[request], asset_events=events, cursor=cursor)
