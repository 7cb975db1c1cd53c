"""Runs of Dagster that are killed at random moments, and whether the run after them leaves what a rebuild would."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp

from local_stack.config import PROJECT_ROOT
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.migrate import migrate

_RUN = """
import dagster as dg
from dagster_project.definitions import defs
defs.resolve_job_def("hot_marts_job").execute_in_process(instance=dg.DagsterInstance.get())
"""
_POLL_SECONDS = 0.05
_RUN_SECONDS = 600
# A hundred visitors: late, resent and contradicting events, sign-ups, aliases in circles, refunds before sales.
_EVENTS = """
INSERT INTO {raw:Identifier}.events
    (event_id, event_name, event_type, user_id, anonymous_id, occurred_at, received_at, properties, source)
WITH
    cityHash64({seed:UInt32}, number) AS chance,
    intDiv(chance, 1000) % 100 AS visitor,
    ['page_view', 'page_view', 'page_view', 'add_to_cart', 'purchase', 'refund', 'alias'] AS names,
    names[intDiv(chance, 10) % 7 + 1] AS name,
    {known:UInt32} AS known
SELECT
    concat('e', toString(if(known > 0 AND chance % 10 = 0, chance % greatest(known, 1), known + number))),
    name,
    if(name = 'page_view', name, 'user_action'),
    if(chance % 3 = 0 OR name = 'alias', concat('user-', toString(visitor)), ''),
    if(chance % 3 = 0 AND chance % 5 != 0, '', concat('device-', toString((visitor + chance % 2) % 100))),
    toDateTime64('2026-02-26 00:00:00', 3, 'UTC') + toIntervalSecond(intDiv(chance, 100000) % (5 * 86400)),
    toDateTime64('2026-04-01 00:00:00', 3, 'UTC'),
    concat(
        '{"url":"https://shop.example/', toString(chance % 7),
        '","revenue":', toString(chance % 97), '.25,"order_id":"o',
        toString(intDiv(chance, 7) % 50), '","previousId":"user-', toString((visitor + 1) % 100), '"}'
    ),
    'web'
FROM numbers({count:UInt32})
"""
_FINGERPRINT = """
SELECT count(), sum(cityHash64(*)) FROM (SELECT * EXCEPT refreshed_at FROM {marts:Identifier}.{table:Identifier})
"""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Dagster and dbt for one environment of the warehouse, with their files below a directory."""

    settings: WarehouseSettings
    directory: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment of their processes."""
        return os.environ | {
            "CLICKHOUSE_HOST": self.settings.clickhouse_host,
            "CLICKHOUSE_USERNAME": self.settings.clickhouse_username,
            "CLICKHOUSE_PASSWORD": self.settings.clickhouse_password.get_secret_value(),
            "CLICKHOUSE_DATABASE": self.settings.clickhouse_database,
            "CLICKHOUSE_CLUSTER": "",
            "ANALYTICS_SAFETY_LAG_SECONDS": "0",
            "DAGSTER_HOME": str(self.directory / "home"),
            "DAGSTER_PG_URL": "",
            "DBT_TARGET_PATH": str(self.target),
            "PYTHONPATH": str(PROJECT_ROOT),
        }

    @property
    def target(self) -> Path:
        """Where each dbt command leaves its log."""
        return self.directory / "target"

    def prepare(self) -> None:
        """Make ready what Dagster reads when it starts."""
        self._call("-m", "dagster_project.prepare", "--fresh-start")

    def start_run(self) -> subprocess.Popen[bytes]:
        """Start a run of the hot job in a process of its own."""
        command = [sys.executable, "-c", _RUN]
        with (self.directory / "runs.log").open("ab") as log:
            return subprocess.Popen(command, env=self.variables, cwd=PROJECT_ROOT, stdout=log, stderr=log)

    def finish_run(self) -> None:
        """Run the hot job undisturbed."""
        self._call("-c", _RUN)

    def rebuild(self) -> None:
        """Build everything from the raw tables, without Dagster."""
        project = str(PROJECT_ROOT / "dbt")
        places = ["--project-dir", project, "--profiles-dir", project]
        arguments = ["build", "--full-refresh", "--exclude-resource-type", "unit_test", *places]
        self._call("-m", "dagster_project.leashed_dbt", *arguments)

    def _call(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.variables,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)[:80]} failed: {(done.stdout + done.stderr)[-3000:]}")


@dataclass(slots=True)
class Trial:
    """What came of it."""

    tables_done: list[int] = field(default_factory=list)
    """Of each killed run, how many tables it had finished."""
    left_over_statements: list[int] = field(default_factory=list)
    """Of each killed run, how many statements it had running in ClickHouse."""
    tables: int = 0
    """How many tables were compared."""
    different: list[str] = field(default_factory=list)
    """Tables that are not what a full rebuild makes of the same events; there should be none."""

    def lines(self) -> list[str]:
        """The figures as text."""
        return [
            f"{len(self.tables_done)} runs killed, after {', '.join(map(str, self.tables_done))} tables; "
            f"statements left running: {', '.join(map(str, self.left_over_statements))}",
            f"{self.tables - len(self.different)} of {self.tables} marts equal a full rebuild",
            *(f"FAILED: {table} differs" for table in self.different),
        ]


def trial(client: Client, pipeline: Pipeline, kills: int, events: int, seed: int) -> Trial:
    """Kill so many runs, each with new events to take in, finish one, and compare with a rebuild beside it."""
    chance, outcome = random.Random(seed), Trial()  # noqa: S311
    pipeline.prepare()
    store_events(client, pipeline.settings, seed, 0, events)
    seconds = _seconds_of_dbt(pipeline, pipeline.start_run())
    known = events
    while len(outcome.tables_done) < kills:
        store_events(client, pipeline.settings, seed, known, events)
        known += events
        before = _commits(client, pipeline.settings)
        run = pipeline.start_run()
        _wait_for_dbt(pipeline, run)
        time.sleep(chance.uniform(0, seconds))
        # Only the process of the run: its dbt has to notice by itself, and what runs in ClickHouse goes on.
        run.send_signal(signal.SIGKILL)
        if run.wait() == -signal.SIGKILL:
            outcome.left_over_statements.append(_running(client, pipeline.settings))
            outcome.tables_done.append(_commits(client, pipeline.settings) - before)
    pipeline.finish_run()
    found = fingerprints(client, pipeline.settings)
    expected = fingerprints(client, _rebuilt(client, pipeline))
    # The marts of the slower lanes are in the rebuild only.
    outcome.tables = len(found)
    outcome.different = sorted(name for name in found if expected.get(name) != found[name])
    return outcome


def store_events(client: Client, settings: WarehouseSettings, seed: int, known: int, count: int) -> None:
    """Let events arrive, some of them with the id of one among the `known` earlier ones."""
    parameters = {"raw": settings.database("raw"), "seed": seed + known, "known": known, "count": count}
    client.command(_EVENTS, parameters=parameters)


def fingerprints(client: Client, settings: WarehouseSettings) -> dict[str, tuple[int, ...]]:
    """Rows and a hash of every mart that follows from events, without when it was written."""
    marts = settings.database("marts")
    # What a killed run was about to put into a mart lies beside it until the nightly housekeeping.
    tables = client.query(
        "SELECT DISTINCT table FROM system.columns "
        "WHERE database = {marts:String} AND name = 'refreshed_at' AND position(table, '__dbt_') = 0",
        parameters={"marts": marts},
    ).result_rows
    return {
        table: tuple(client.query(_FINGERPRINT, parameters={"marts": marts, "table": table}).result_rows[0])
        for (table,) in tables
    }


def _rebuilt(client: Client, pipeline: Pipeline) -> WarehouseSettings:
    beside = replace(
        pipeline,
        settings=pipeline.settings.model_copy(
            update={"clickhouse_database": f"{pipeline.settings.clickhouse_database}_rebuilt"}
        ),
        directory=Path(mkdtemp(dir=pipeline.directory)),
    )
    migrate(client, beside.settings)
    names = {"here": beside.settings.database("raw"), "there": pipeline.settings.database("raw")}
    client.command("INSERT INTO {here:Identifier}.events SELECT * FROM {there:Identifier}.events", parameters=names)
    beside.rebuild()
    return beside.settings


def _logs(pipeline: Pipeline) -> set[Path]:
    return set(pipeline.target.glob("*/dbt.log"))


def _wait_for_dbt(pipeline: Pipeline, run: subprocess.Popen[bytes]) -> None:
    known = _logs(pipeline)
    while run.poll() is None and _logs(pipeline) == known:
        time.sleep(_POLL_SECONDS)


def _seconds_of_dbt(pipeline: Pipeline, run: subprocess.Popen[bytes]) -> float:
    _wait_for_dbt(pipeline, run)
    started = time.perf_counter()
    if run.wait(timeout=_RUN_SECONDS) != 0:
        raise RuntimeError(f"The first run failed: {(pipeline.directory / 'runs.log').read_text()[-3000:]}")
    return time.perf_counter() - started


def _commits(client: Client, settings: WarehouseSettings) -> int:
    sql = "SELECT count() FROM {ops:Identifier}.watermarks"
    return int(client.query(sql, parameters={"ops": settings.database("ops")}).result_rows[0][0])


def _running(client: Client, settings: WarehouseSettings) -> int:
    sql = """
        SELECT count() FROM system.processes
        WHERE startsWith(query, '/* {"app": "dbt"') AND position(query, {name:String}) > 0
    """
    return int(client.query(sql, parameters={"name": settings.clickhouse_database}).result_rows[0][0])
