"""Backfill: a range of days that the next run computes again, asked for in Dagster's page."""

from datetime import date
from typing import cast

import dagster as dg

from dagster_project.defs.resources import WarehouseResource, patiently
from dagster_project.defs.transform.assets import WAREHOUSE_POOL
from dagster_project.defs.transform.project import manifest
from dagster_project.defs.transform.translator import REPLAY_REQUESTS, default_owners
from warehouse.client import Client, QuerySummary, StatementRefused, warehouse_errors
from warehouse.config import WarehouseSettings

FIRST_DAY = "2000-01-01"
_UNKNOWN_TABLE, _UNKNOWN_DATABASE = 60, 81

# Senders as well as visitors: it also mends a day whose events are stored under the wrong visitor.
_REQUEST = """
INSERT INTO {ops:Identifier}.replay_requests (visitor_id, first_at, last_at, reason)
SELECT visitor_id, toDateTime64(min(day), 3, 'UTC'), toDateTime64(max(day), 3, 'UTC'), 'backfill'
FROM (
    SELECT visitor_id, activity_date AS day FROM {intermediate:Identifier}.int_days_by_visitor
    UNION ALL
    SELECT sender_id, event_date FROM {intermediate:Identifier}.int_days_by_sender
)
WHERE day BETWEEN {first_day:Date32} AND {last_day:Date32}
GROUP BY visitor_id
"""


def request_replay(client: Client, settings: WarehouseSettings, first_day: date, last_day: date) -> int:
    """Ask for every visitor with events from the first day to the last, both included; return how many there are.

    Raises:
        Failure: no table has been built yet, so nothing could be computed again.
    """
    parameters = {
        "intermediate": settings.database("intermediate"),
        "ops": settings.database("ops"),
        "first_day": first_day,
        "last_day": last_day,
    }
    try:
        with warehouse_errors():
            inserted = cast(QuerySummary, client.command(_REQUEST, parameters=parameters))
    except StatementRefused as error:
        if error.code in (_UNKNOWN_TABLE, _UNKNOWN_DATABASE):
            raise dg.Failure("There is nothing to compute again: no run has built the models yet.") from error
        raise
    return inserted.written_rows


@dg.asset(
    key=REPLAY_REQUESTS,
    group_name="ops",
    kinds={"clickhouse"},
    owners=default_owners(manifest()),
    pool=WAREHOUSE_POOL,
    # The days up to today, which is not over yet.
    partitions_def=dg.DailyPartitionsDefinition(FIRST_DAY, end_offset=1),
    backfill_policy=dg.BackfillPolicy.single_run(),
    description="Backfill: materialize a range of days, and the run that new_events_sensor starts next computes every "
    "visitor with events on these days again, from int_events to the marts. One row per visitor and span of days.",
)
def replay_requests(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
    """Ask for the days of this run's partitions, however many, in one statement."""
    days = context.partition_key_range
    first_day, last_day = map(date.fromisoformat, (days.start, days.end))
    with patiently(context), warehouse.client() as client:
        visitors = request_replay(client, warehouse.settings, first_day, last_day)
    return dg.MaterializeResult(
        metadata={"visitors": visitors, "first_day": first_day.isoformat(), "last_day": last_day.isoformat()}
    )
