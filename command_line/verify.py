"""`analytics verify`: import real data sets through the HTTP API, build the marts, compare with known answers."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from command_line.event_posting import PostingFailed
from command_line.importing import import_rows
from command_line.row_mapping import read_mapping
from command_line.verification.data_sets import DATA_SETS, Comparison, DataSet, MomentsSet
from command_line.verification.experiment_steps import compute_results, start_experiment
from command_line.verification.marts import Marts
from local_stack.config import PROJECT_ROOT, bypass_proxies
from local_stack.event_stream import wait_until_drained
from local_stack.ports import free_port
from local_stack.process import ProcessFailed, Program
from local_stack.processes import Programs, console_script
from local_stack.stack import Stack, StopRequested
from local_stack.startup import (
    apply_migrations,
    issue_access,
    programs_on_free_ports,
    start_engines,
    start_ingest,
    warehouse_settings,
)
from local_stack.state_directory import StateDirectory
from local_stack.supervisor import stop_requested
from local_stack.valkey_server import valkey_url
from warehouse.client import connect

DATA_DIRECTORY = PROJECT_ROOT.parent / "shared" / "data"
MAPPINGS = Path(__file__).with_name("verification")
DIFFERENCES_SHOWN = 3
DBT_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparisons of one data set and how long it took to get there."""

    data_set: DataSet | MomentsSet
    comparisons: list[Comparison]
    seconds: dict[str, float]

    @property
    def agrees(self) -> bool:
        """Whether every figure is as it should be."""
        return not any(comparison.differences for comparison in self.comparisons)


def verify(
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets; by default ../shared/data")] = None,
    only: Annotated[str, typer.Option(help=f"Some of {','.join(DATA_SETS)}")] = ",".join(DATA_SETS),
) -> None:
    """Compare the marts with the reference answers of real data sets, on a temporary stack of its own."""
    bypass_proxies()
    folder = data or DATA_DIRECTORY
    if not (folder / "expected").is_dir():
        raise typer.BadParameter(f"{folder} holds no data sets; name their folder with --data")
    if unknown := sorted(set(only.split(",")) - DATA_SETS.keys()):
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(DATA_SETS)}", param_hint="--only")
    console = Console(width=None if Console().is_terminal else 150)
    try:
        with temporary_engines(console) as (stack, programs):
            verdicts = [
                verify_moments(one, folder, console)
                if isinstance(one, MomentsSet)
                else verify_data_set(one, folder, stack, programs, console)
                for one in (DATA_SETS[name] for name in only.split(","))
            ]
    except StopRequested as interruption:
        raise typer.Exit(130) from interruption
    except (PostingFailed, ProcessFailed) as error:
        typer.echo(f"analytics verify: {error}", err=True)
        raise typer.Exit(1) from error
    count = sum(len(verdict.comparisons) for verdict in verdicts)
    wrong = sum(bool(comparison.differences) for verdict in verdicts for comparison in verdict.comparisons)
    console.print(f"{count - wrong} of {count} figures agree.")
    if wrong:
        raise typer.Exit(1)


@contextmanager
def temporary_engines(console: Console) -> Iterator[tuple[Stack, Programs]]:
    """Run Valkey and ClickHouse on free ports, their data in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="analytics-verify-") as directory, Stack(stop_requested()) as stack:
        programs = programs_on_free_ports(Path(directory))
        start_engines(stack, programs, console.print)
        yield stack, programs


def verify_moments(data_set: MomentsSet, folder: Path, console: Console) -> Verdict:
    """Give the moments of one data set to the statistics, compare, and print the table."""
    results = json.loads((folder / "expected" / data_set.answers).read_text())["results"]
    seconds: dict[str, float] = {}
    with _timed(seconds, "compare"):
        comparisons = list(data_set.figures(folder / data_set.file, results))
    verdict = Verdict(data_set, comparisons, seconds)
    console.print(verdict_table(verdict))
    return verdict


def verify_data_set(data_set: DataSet, folder: Path, stack: Stack, engines: Programs, console: Console) -> Verdict:
    """Import one data set into an environment of its own, build its marts, compare, and print the table."""
    settings = engines.settings.model_copy(update={"database": f"verify_{data_set.name}", "api_port": free_port()})
    programs = Programs(settings, StateDirectory(engines.state.path / data_set.name), engines.credentials)
    results = json.loads((folder / "expected" / data_set.answers).read_text())["results"]
    seconds: dict[str, float] = {}
    with _timed(seconds, "import"):
        apply_migrations(programs)
        _import(data_set, folder, stack, programs)
    with _timed(seconds, "build"):
        if data_set.experiment is None:
            _build_marts(data_set.dbt_funnels(results), stack, programs)
        else:
            compute_results(stack, programs)
    with _timed(seconds, "compare"), closing(connect(warehouse_settings(programs))) as client:
        marts = Marts(client, warehouse_settings(programs))
        verdict = Verdict(data_set, list(data_set.compare(marts, results)), seconds)
    console.print(verdict_table(verdict))
    return verdict


def verdict_table(verdict: Verdict) -> Table:
    """Return expected and found, figure by figure, and where they part."""
    times = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in verdict.seconds.items())
    table = Table(title=f"{verdict.data_set.name} ({times})", title_justify="left")
    for heading in ("figure", "expected", "found", "verdict"):
        table.add_column(heading, overflow="fold")
    for comparison in verdict.comparisons:
        differences = comparison.differences
        shown = "; ".join(differences[:DIFFERENCES_SHOWN])
        more = f" and {len(differences) - DIFFERENCES_SHOWN} more" if len(differences) > DIFFERENCES_SHOWN else ""
        word = f"[red]differs:[/] {shown}{more}" if differences else "[green]equal[/]"
        table.add_row(comparison.name, comparison.expected_text, comparison.found_text, word)
    return table


def _import(data_set: DataSet, folder: Path, stack: Stack, programs: Programs) -> None:
    with Stack() as ingest:
        start_ingest(ingest, programs)
        access = issue_access(programs)
        if data_set.experiment is not None:
            start_experiment(data_set.experiment, access)

        def pulse() -> None:
            stack.pulse()
            ingest.pulse()

        for mapping in data_set.mapping_names:
            report = import_rows(
                folder / data_set.file,
                read_mapping([str(MAPPINGS / f"{mapping}.yml")]),
                url=access.api_url,
                key=access.write_key,
                checkpoint=programs.state.path / f"{mapping}.json",
                on_progress=lambda *_: pulse(),
            )
            if report.rejected:
                raise ProcessFailed(f"{mapping}: {report.rejected} rows were rejected, and none should be")
        url = valkey_url(programs.settings.ports.valkey, programs.credentials.valkey_password)
        wait_until_drained(url, programs.settings.database, pulse)
    # The models leave the youngest rows to the next run.
    time.sleep(float(programs.environment["ANALYTICS_SAFETY_LAG_SECONDS"]) + 1)


def _build_marts(funnels: list[dict[str, Any]], stack: Stack, programs: Programs) -> None:
    variables = ["--vars", json.dumps({"funnels": funnels})] if funnels else []
    places = ["--project-dir", "dbt", "--profiles-dir", "dbt"]
    # Unit tests are about the models' code and not about this data: the test suite runs them.
    (build,) = stack.launch(
        Program(
            name="dbt",
            command=[console_script("dbt"), "build", *places, "--exclude-resource-type", "unit_test", *variables],
            environment=programs.environment,
            log_path=programs.state.log_path("dbt"),
            directory=PROJECT_ROOT,
            start_timeout_seconds=DBT_TIMEOUT_SECONDS,
            is_task=True,
        )
    )
    stack.finish(build)


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[step] = time.monotonic() - started
