"""The demo: a month of a made-up shop through the front door, marts through Dagster, and the numbers checked."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local_stack.dagster_api import DagsterApi
from local_stack.demo_data import DemoPlan, ShopEvent, shop_day
from local_stack.demo_headline import print_headlines, read_headlines
from local_stack.demo_posting import in_sending_order, post_events
from local_stack.demo_totals import ShopTotals, shop_totals
from local_stack.event_stream import wait_until_drained
from local_stack.processes import Programs
from local_stack.startup import warehouse_settings
from local_stack.state_directory import Access
from local_stack.valkey_server import valkey_url
from warehouse.client import Client, connect
from warehouse.raw_events import FRESHNESS_PROBE

JOB = "hourly_marts_job"
_STORED = """
SELECT DISTINCT event_id, toDate(JSONExtractString(context, 'demo', 'day'))
FROM {raw:Identifier}.events
WHERE JSONExtractUInt(context, 'demo', 'eventsPerDay') = {events_per_day:UInt64}
"""
_FOREIGN = """
SELECT count() FROM {raw:Identifier}.events
WHERE JSONExtractUInt(context, 'demo', 'eventsPerDay') != {events_per_day:UInt64} AND event_name != {probe:String}
"""


@dataclass(frozen=True, slots=True)
class ShopHistory:
    """What the shop has sent once the demo is through."""

    first_day: date
    last_day: date
    totals: ShopTotals
    is_alone: bool
    """False when the warehouse also holds events of other senders, so that its numbers may be larger."""


def fill_shop(
    plan: DemoPlan, programs: Programs, access: Access, console: Console, pulse: Callable[[], None]
) -> ShopHistory:
    """Send every event of the shop's history that is not stored yet, and wait until all are in `raw.events`.

    An earlier demo's history is continued up to today, so that no day in between is missing.
    """
    now = datetime.now(UTC) - timedelta(minutes=1)
    with _warehouse(programs) as client:
        parameters = {"raw": f"{programs.settings.database}_raw", "events_per_day": plan.events_per_day}
        stored: dict[str, date] = dict(client.query(_STORED, parameters=parameters).result_rows)  # type: ignore[arg-type]
        foreign = client.query(_FOREIGN, parameters={**parameters, "probe": FRESHNESS_PROBE}).result_rows[0][0]
    first_day = min([plan.first_day(now.date()), *stored.values()])
    days = history(plan, first_day, now)
    missing = [(day, [event for event in events if event.event_id not in stored]) for day, events in days]
    _send(missing, programs, access, console, pulse)
    everything = [event for _, events in days for event in events]
    return ShopHistory(first_day, now.date(), shop_totals(everything), is_alone=foreign == 0)


def history(plan: DemoPlan, first_day: date, until: datetime) -> list[tuple[date, list[ShopEvent]]]:
    """Return each day's events up to a moment."""
    last = int(until.timestamp() * 1000)
    days = [first_day + timedelta(days=number) for number in range((until.date() - first_day).days + 1)]
    return [(day, [event for event in shop_day(day, plan.events_per_day) if event.timestamp <= last]) for day in days]


def launch_marts(access: Access, pulse: Callable[[], None]) -> str:
    """Start the job that builds the marts, as the button in Dagster's page does, and return the run's id."""
    with DagsterApi(access.dagster_url, pulse) as dagster:
        return dagster.launch(JOB)


def wait_for_marts(run_id: str, access: Access, console: Console, pulse: Callable[[], None]) -> None:
    """Wait for the run to succeed.

    Raises:
        RunFailed: it did not.
    """
    with console.status("Building the marts through Dagster"), DagsterApi(access.dagster_url, pulse) as dagster:
        dagster.wait_for_success(run_id)
    console.print(f"Marts are built: {access.dagster_url}/runs/{run_id}", highlight=False, soft_wrap=True)


def print_numbers(history: ShopHistory, access: Access, console: Console) -> None:
    """Print what the marts say about the shop beside what it sent.

    Raises:
        NumbersDiffer: they disagree although nobody else has sent events.
    """
    headlines = read_headlines(history.totals, history.first_day, history.last_day, access)
    title = f"The shop from {history.first_day} to {history.last_day}"
    print_headlines(headlines, title, console, is_alone=history.is_alone)


def _send(
    days: list[tuple[date, list[ShopEvent]]],
    programs: Programs,
    access: Access,
    console: Console,
    pulse: Callable[[], None],
) -> None:
    requests = list(in_sending_order(days))
    count = sum(map(len, requests))
    if not count:
        console.print("The shop's events are already stored.")
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Posting events", total=count)
        post_events(iter(requests), access.api_url, access.write_key, pulse, lambda n: progress.advance(task, n))
    environment = programs.environment
    database = programs.settings.database
    wait_until_drained(
        valkey_url(programs.settings.ports.valkey, programs.credentials.valkey_password), database, pulse
    )
    # The models leave the youngest rows to the next run.
    time.sleep(float(environment["ANALYTICS_SAFETY_LAG_SECONDS"]) + 1)


def _warehouse(programs: Programs) -> AbstractContextManager[Client]:
    return closing(connect(warehouse_settings(programs)))
