"""What the marts cost: a month of events, its last day, a thousand events more, and a day more of a longer history.

Costs are seconds of the engine's CPU where nothing else is said, so that other work on the machine counts little. A
scan reads whole events and hashes every value: those of `raw.events` lie in the order of arrival, those of `stg_events`
in that of visitors. A statement is what the model's full build asks, without what it costs to write the answer.

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

import yaml

from benchmarks.harness.model_runs import HOT, Cost, ModelRuns
from benchmarks.harness.shop_history import FUNNEL, ShopHistory
from benchmarks.harness.usage import memory_text
from local_stack.config import PROJECT_ROOT
from local_stack.stack import Stack
from local_stack.startup import apply_migrations, programs_on_free_ports, start_engines, warehouse_settings
from warehouse.client import connect
from warehouse.config import Layer

DAYS = 30
SIZES = (1, 4, 10)
"""Lengths of history, in so many times `DAYS`."""
EVENTS_OF_VISITOR = 50
MICRO_BATCH = 1_000

SESSION_COLUMNS = (
    "visitor_id, user_id, anonymous_id, client_session_id, occurred_at, event_id, event_name, event_type, page, "
    "order_id, revenue_kind, revenue_amount, currency, source, country, device_type, os_name, browser_name, "
    "utm_source, utm_medium, utm_campaign, click_id, referrer_host, _version, _is_deleted"
)
FUNNEL_COLUMNS = "visitor_id, event_date, occurred_at, event_id, event_name, _version, _is_deleted"
FOUR_STEPS = ("--vars", json.dumps({"funnels": [{"name": "shop", "window": "7 days", "steps": FUNNEL}]}))

MODELS = ("--select", "+kpis_daily", "int_funnel_visitors")
"""Sessions, the funnel and the daily KPIs, with all that they read."""
PARTS = {
    "staging": ("+stg_events",),
    "visitors": ("+int_sessions", "--exclude", "+stg_events", "int_sessions"),
    "sessions": ("int_sessions",),
    "funnel": ("int_funnel_visitors",),
    "marts": ("+kpis_daily", "--exclude", "+int_sessions", "int_funnel_visitors"),
}
"""The full build of `MODELS`, in the order of building."""
SCANS: dict[str, tuple[Layer, str, str]] = {
    "scan by arrival": ("raw", "events", "*"),
    "scan by visitor": ("staging", "stg_events", "*"),
    "scan for sessions": ("intermediate", "int_events", SESSION_COLUMNS),
    "scan for funnel": ("intermediate", "int_events", FUNNEL_COLUMNS),
}
STATEMENTS = {"sessions": "int_sessions", "funnel": "int_funnel_visitors"}
BY_ARRIVAL = "int_events_by_arrival"
"""A copy of `int_events`, which shows what the statements cost where events lie in the order of arrival."""
_PROFILE = yaml.safe_load((PROJECT_ROOT / "dbt" / "profiles.yml").read_text())["analytics"]["outputs"]["warehouse"]


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

    def statement(self, model: str, table: str) -> Cost:
        """Ask what a model's full build asks, of the events in a table."""
        places = self.runs.environment["DBT_TARGET_PATH"], "compiled", "analytics", "models", "intermediate"
        text = Path(*places, f"{model}.sql").read_text()
        if table != "int_events":
            # The copy has each event once.
            text = text.replace("`int_events`", f"`{table}`").replace(" final", "")
        return self.runs.asking(
            lambda: self.history.client.command(text + "\nFORMAT Null", settings=_PROFILE["custom_settings"])
        )

    def copy_by_arrival(self) -> None:
        """Lay the events in the order of their arrival."""
        intermediate = self.history.settings.database("intermediate")
        events = f"SELECT * FROM `{intermediate}`.int_events FINAL"  # noqa: S608
        table = f"`{intermediate}`.{BY_ARRIVAL}"
        self.history.client.command(f"CREATE TABLE {table} ENGINE = MergeTree ORDER BY inserted_at AS {events}")
        self.history.settle()

    def run(self, *arguments: str) -> Cost:
        """Build models, when the engine has nothing else to do."""
        self.history.settle()
        return self.runs.dbt("run", *arguments, *FOUR_STEPS)

    def run_first_increment(self) -> None:
        """Build a few events more. Before the first increment dbt checks each model's columns once for all."""
        self.history.add_events(MICRO_BATCH)
        self.run(*MODELS)


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
        here.run(*MODELS)
        if size == SIZES[0]:
            here.run_first_increment()
        for _ in range(here.rounds):
            here.history.add_days(1)
            measured.add(f"day at {size}x", here.run(*MODELS))


def measure_full_build(measured: Measured, here: Environment) -> None:
    """Build all but the last day, the last day, and all anew part by part; and read what the parts read."""
    here.history.add_days(DAYS - 1)
    here.run(*MODELS)
    here.run_first_increment()
    here.history.add_days(1)
    measured.add("last day", here.run(*MODELS))
    measured.add("all days", here.run("--full-refresh", *MODELS))
    for name, selection in PARTS.items():
        measured.add(name, here.run("--full-refresh", "--select", *selection))
    here.copy_by_arrival()
    here.runs.dbt("compile", "--full-refresh", "--select", *STATEMENTS.values(), *FOUR_STEPS)
    for _ in range(here.rounds):
        for name, columns in SCANS.items():
            measured.add(name, here.scan(*columns))
        for name, model in STATEMENTS.items():
            measured.add(f"{name} by visitor", here.statement(model, "int_events"))
            measured.add(f"{name} by arrival", here.statement(model, BY_ARRIVAL))


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
    full, scan = measured.engine(*PARTS), measured.engine("scan by arrival")
    yield f"{events:,} events; one scan of them by arrival {scan:.1f} s, {events / scan:,.0f} events/s"
    yield ratio(measured, f"full build of {', '.join(PARTS)}", full, "scan by arrival")
    for name in PARTS:
        yield f"  {name:22} {measured.engine(name):7.1f} s, {measured.seconds(name):7.1f} s by the clock"
    for name, by_arrival, by_visitor, columns in (
        ("sessions", "3.5 (stretch 2.7)", "1.7 (stretch 1.1)", "scan for sessions"),
        ("funnel", "0.9 (stretch 0.55)", "0.5 (stretch 0.35)", "scan for funnel"),
    ):
        arrival, visitor = (measured.engine(f"{name} by {order}") for order in ("arrival", "visitor"))
        yield ratio(measured, f"statement for {name}, order of arrival", arrival, "scan by arrival", by_arrival)
        yield ratio(measured, f"statement for {name}, order of visitors", visitor, "scan by visitor", by_visitor)
        yield ratio(measured, "  of only the columns that it reads", visitor, columns)
        yield ratio(measured, "  with writing its answer", measured.engine(name), "scan by visitor")
    yield ratio(measured, f"the last of {DAYS} days", measured.engine("last day"), "all days", "0.08")
    first = f"day at {SIZES[0]}x"
    for size in SIZES[1:]:
        name = f"day at {size}x"
        yield ratio(measured, f"a {name} history", measured.engine(name), first, "1.15")
    bare = measured.seconds("dbt build")
    yield (
        f"{MICRO_BATCH:,} events more by dbt build: {bare:.1f} s by the clock; CPU of the engine "
        f"{measured.engine('dbt build'):.1f} s, of dbt {measured.client('dbt build'):.1f} s"
    )
    yield compared("the same as a step of Dagster", measured.seconds("dagster step"), "dbt build", bare, "1.5")
    yield (
        f"  with the start of the run's process {measured.seconds('dagster run'):.1f} s by the clock; "
        f"CPU of Dagster and dbt {measured.client('dagster run'):.1f} s"
    )
    costs = [cost for rounds in measured.costs.values() for cost in rounds]
    memory = {"engine": max(one.engine_bytes for one in costs), "client": max(one.client_bytes for one in costs)}
    yield f"memory at most: {memory_text(memory)}"


def ratio(measured: Measured, name: str, figure: float, baseline: str, target: str = "") -> str:
    """A line that compares CPU seconds of the engine with those of a baseline."""
    return compared(name, figure, baseline, measured.engine(baseline), target)


def compared(name: str, figure: float, baseline: str, of: float, target: str = "") -> str:
    """A line that compares seconds with those of a baseline."""
    multiple = f"{figure / of:6.2f} x {baseline}"
    return f"{name:47} {figure:7.1f} s {multiple:26} {f'target {target}' if target else ''}".rstrip()


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
