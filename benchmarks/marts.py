"""What the marts cost: a month of events, its last day, a thousand events more, and a day more of a longer history.

Costs are seconds of the engine's CPU where nothing else is said, so that other work on the machine counts little. A
scan reads every value of the columns that a model reads and hashes it: `raw.events` lies in the order of arrival,
`int_events` in that of visitors.

Run: python -m benchmarks.marts [--events 10000000]
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.harness.model_runs import HOT, Cost, ModelRuns
from benchmarks.harness.shop_history import FUNNEL, ShopHistory
from benchmarks.harness.usage import memory_text
from local_stack.stack import Stack
from local_stack.startup import apply_migrations, programs_on_free_ports, start_engines, warehouse_settings
from warehouse.client import connect
from warehouse.config import Layer

DAYS = 30
SIZES = (1, 4, 10)
"""Lengths of history, in so many times `DAYS`."""
EVENTS_OF_VISITOR = 50
MICRO_BATCH = 1_000

RAW_COLUMNS = (
    "event_id, event_name, event_type, user_id, anonymous_id, session_id, occurred_at, received_at, inserted_at, "
    "properties, context, source, country, device_type, os_name, browser_name, is_bot, clock_skew_ms, warnings"
)
SESSION_COLUMNS = (
    "visitor_id, user_id, anonymous_id, client_session_id, occurred_at, event_id, event_type, page, order_id, "
    "revenue_kind, revenue_amount, currency, source, country, device_type, os_name, browser_name, utm_source, "
    "utm_medium, utm_campaign, click_id, referrer_host, _version, _is_deleted"
)
FUNNEL_COLUMNS = "visitor_id, event_date, occurred_at, event_id, event_name, _version, _is_deleted"
FOUR_STEPS = ("--vars", json.dumps({"funnels": [{"name": "shop", "window": "7 days", "steps": FUNNEL}]}))

PARTS = {
    "staging": ("+stg_events",),
    "visitors": ("+int_sessions", "--exclude", "+stg_events", "int_sessions"),
    "sessions": ("int_sessions",),
    "funnel of four steps": ("int_funnel_visitors",),
    "marts": ("+kpis_daily", "--exclude", "+int_sessions", "int_funnel_visitors"),
}
"""The full build of sessions, the funnel and the daily KPIs, with all that they read, in the order of building."""
SCANS: dict[str, tuple[Layer, str, str]] = {
    "scan of raw": ("raw", "events", RAW_COLUMNS),
    "scan for sessions": ("intermediate", "int_events", SESSION_COLUMNS),
    "scan for funnel": ("intermediate", "int_events", FUNNEL_COLUMNS),
}
CUT_SESSIONS = """
SELECT visitor, stream, session[1] AS started_at, session[-1] AS ended_at, length(session) AS event_count
FROM (
    SELECT visitor, stream, arrayJoin(arraySplit(
        (moment, before) -> moment > before + INTERVAL 30 MINUTE,
        moments, arrayPushFront(arrayPopBack(moments), moments[1])
    )) AS session
    FROM (
        SELECT {visitor} AS visitor, {stream} AS stream, arraySort(groupArray(occurred_at)) AS moments
        FROM {table}
        GROUP BY visitor, stream
    )
)
FORMAT Null
"""
"""Where sessions begin and end, and nothing else of them: what the least useful query for them costs."""
CUTS: dict[str, tuple[Layer, str, str, str]] = {
    "cut of raw": ("raw", "events", "if(user_id != '', user_id, anonymous_id)", "session_id"),
    "cut for sessions": ("intermediate", "int_events", "visitor_id", "client_session_id"),
}


@dataclass(slots=True)
class Measured:
    """Costs by name, each in rounds."""

    costs: dict[str, list[Cost]] = field(default_factory=dict)

    def add(self, name: str, cost: Cost) -> None:
        """Keep the cost of one round."""
        self.costs.setdefault(name, []).append(cost)

    def engine(self, *names: str) -> float:
        """CPU seconds of the engine for all of these together, of each the median round."""
        return sum(statistics.median(cost.engine_seconds for cost in self.costs[name]) for name in names)

    def seconds(self, name: str) -> float:
        """Seconds by the clock, of the median round."""
        return statistics.median(cost.seconds for cost in self.costs[name])

    def client(self, name: str) -> float:
        """CPU seconds of the process that asks the engine."""
        return statistics.median(cost.client_seconds for cost in self.costs[name])


@dataclass(frozen=True, slots=True)
class Environment:
    """An engine, the history in it, and the models over it."""

    runs: ModelRuns
    history: ShopHistory
    rounds: int

    def scan(self, layer: Layer, table: str, columns: str) -> Cost:
        """Read all rows of a table."""
        name = f"`{self.history.settings.database(layer)}`.{table}"
        query = f"SELECT sum(cityHash64({columns})) FROM {name}"  # noqa: S608
        return self.runs.asking(lambda: self.history.client.query(query))

    def cut(self, layer: Layer, table: str, visitor: str, stream: str) -> Cost:
        """Find the sessions of a table."""
        name = f"`{self.history.settings.database(layer)}`.{table}"
        query = CUT_SESSIONS.format(visitor=visitor, stream=stream, table=name)
        return self.runs.asking(lambda: self.history.client.command(query))

    def run(self, *arguments: str) -> Cost:
        """Build models, when the engine has nothing else to do."""
        self.history.settle()
        return self.runs.dbt("run", *arguments, *FOUR_STEPS)


@contextmanager
def environment(events_per_day: int, visitors: int, rounds: int) -> Iterator[Environment]:
    """Start an engine whose data are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="analytics-marts-") as directory, Stack() as stack:
        programs = programs_on_free_ports(Path(directory))
        start_engines(stack, programs, lambda _: None)
        apply_migrations(programs)
        [engine] = [process for process in stack.processes if process.name == "clickhouse"]
        settings = warehouse_settings(programs)
        client = connect(settings, timeout_seconds=3600)
        runs = ModelRuns(engine, {**programs.environment, "ANALYTICS_SAFETY_LAG_SECONDS": "0"})
        runs.prepare()
        yield Environment(runs, ShopHistory(client, settings, events_per_day, visitors), rounds)
        client.close()


def measure_lengths(measured: Measured, here: Environment) -> None:
    """Build a day more at each length of history."""
    for size in SIZES:
        here.history.add_days(size * DAYS - here.history.events // here.history.events_per_day)
        here.run()
        for _ in range(here.rounds):
            here.history.add_days(1)
            measured.add(f"day at {size}x", here.run())


def measure_full_build(measured: Measured, here: Environment) -> None:
    """Build all but the last day, the last day, and all anew part by part; and read what the parts read."""
    here.history.add_days(DAYS - 1)
    here.run()
    here.history.add_days(1)
    measured.add("last day", here.run())
    measured.add("all days", here.run("--full-refresh"))
    for name, selection in PARTS.items():
        measured.add(name, here.run("--full-refresh", "--select", *selection))
    here.history.settle()
    for name, columns in SCANS.items():
        for _ in range(here.rounds):
            measured.add(name, here.scan(*columns))
    for name, places in CUTS.items():
        for _ in range(here.rounds):
            measured.add(name, here.cut(*places))


def measure_micro_batches(measured: Measured, here: Environment) -> None:
    """Add a thousand events, by dbt alone and by Dagster in turn."""
    here.runs.dbt("build")  # back to the declared funnels
    for _ in range(here.rounds):
        here.history.add_events(MICRO_BATCH)
        measured.add("dbt build", here.runs.dbt("build", *HOT))
        here.history.add_events(MICRO_BATCH)
        cost, step_seconds = here.runs.dagster()
        measured.add("dagster run", cost)
        measured.add("dagster step", replace(cost, seconds=step_seconds))


def lines(measured: Measured, events: int) -> Iterator[str]:
    """The result as text."""
    full, raw = measured.engine(*PARTS), measured.engine("scan of raw")
    yield f"{events:,} events; one scan of raw {raw:.1f} s, {events / raw:,.0f} events/s"
    yield ratio(f"full build of {', '.join(PARTS)}", full, "scan of raw", raw)
    for name in PARTS:
        yield f"  {name:22} {measured.engine(name):7.1f} s, {measured.seconds(name):7.1f} s by the clock"
    by_visitor = measured.engine("scan for sessions")
    arrival = measured.engine("staging", "visitors", "sessions")
    for name, figure, cut, scan, of, target in (
        ("arrival", arrival, "cut of raw", "scan of raw", raw, "3.5 (stretch 2.7)"),
        (
            "visitors",
            measured.engine("sessions"),
            "cut for sessions",
            "scan for sessions",
            by_visitor,
            "1.7 (stretch 1.1)",
        ),
    ):
        yield ratio(f"sessions from the order of {name}, written", figure, scan, of, target)
        yield ratio("  only cut, by a query", measured.engine(cut), scan, of)
    funnel, steps = measured.engine("funnel of four steps"), measured.engine("scan for funnel")
    yield ratio("funnel from the order of visitors, written", funnel, "scan for funnel", steps, "0.5 (stretch 0.35)")
    whole = measured.engine("all days")
    yield ratio(f"the last of {DAYS} days", measured.engine("last day"), "all days", whole, "0.08")
    first = f"day at {SIZES[0]}x"
    for size in SIZES[1:]:
        name = f"day at {size}x"
        yield ratio(f"a {name} history", measured.engine(name), first, measured.engine(first), "1.15")
    bare = measured.seconds("dbt build")
    yield (
        f"{MICRO_BATCH:,} events more by dbt build: {bare:.1f} s by the clock; CPU of the engine "
        f"{measured.engine('dbt build'):.1f} s, of dbt {measured.client('dbt build'):.1f} s"
    )
    yield ratio("the same as a step of Dagster", measured.seconds("dagster step"), "dbt build", bare, "1.5")
    yield (
        f"  with the start of the run's process {measured.seconds('dagster run'):.1f} s by the clock; "
        f"CPU of Dagster and dbt {measured.client('dagster run'):.1f} s"
    )
    costs = [cost for rounds in measured.costs.values() for cost in rounds]
    memory = {"engine": max(one.engine_bytes for one in costs), "client": max(one.client_bytes for one in costs)}
    yield f"memory at most: {memory_text(memory)}"


def ratio(name: str, figure: float, baseline: str, of: float, target: str = "") -> str:
    """A line that compares with a baseline."""
    compared = f"{figure / of:6.2f} x {baseline}"
    return f"{name:47} {figure:7.1f} s {compared:30} {f'target {target}' if target else ''}".rstrip()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000, help="of a month, and of the longest history")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many")
    options = parser.parse_args()
    measured = Measured()
    visitors = max(options.events // EVENTS_OF_VISITOR, 1)
    with environment(options.events // DAYS, visitors, options.rounds) as here:
        measure_full_build(measured, here)
        events = here.history.events
        measure_micro_batches(measured, here)
    with environment(options.events // (SIZES[-1] * DAYS), visitors, options.rounds) as here:
        measure_lengths(measured, here)
    print(*lines(measured, events), sep="\n")


if __name__ == "__main__":
    main()
