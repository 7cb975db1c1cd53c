"""The order in which the stack comes up."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from local_stack.clickhouse_users import write_users_file
from local_stack.config import PROJECT_ROOT, StackSettings
from local_stack.credentials import load_or_create_credentials
from local_stack.ports import LOOPBACK, free_port, is_taken
from local_stack.process import Process, ProcessFailed
from local_stack.processes import Programs
from local_stack.stack import Stack
from local_stack.state_directory import Access, StateDirectory
from warehouse.client import StatementRefused, WarehouseUnavailable, connect
from warehouse.config import WarehouseSettings
from warehouse.migrate import MigrationDrift, migrate

ACCESS_TIMEOUT_SECONDS = 60
TOKEN_DAYS = 90


class PortTaken(RuntimeError):
    """Something else listens where one of our servers should; the message says what to do."""


@dataclass(frozen=True, slots=True)
class IngestStack:
    """A running stack without Dagster and how to get in."""

    stack: Stack
    programs: Programs
    access: Access


def programs_on_free_ports(directory: Path) -> Programs:
    """Return the programs of a stack that keeps everything below `directory` and is in nobody's way."""
    state = StateDirectory(directory)
    settings = StackSettings(
        state_dir=directory,
        api_port=free_port(),
        clickhouse_port=free_port(),
        valkey_port=free_port(),
        dagster_port=free_port(),
        dagster_code_port=free_port(),
        # An offset from the environment would move the ports off those that are free.
        port_offset=0,
    )
    return Programs(settings, state, load_or_create_credentials(state.credentials_file))


@contextmanager
def ingest_stack(directory: Path) -> Iterator[IngestStack]:
    """Run what takes events in, its data below `directory` and its ports free ones, until the block is left.

    Raises:
        ProcessFailed: a process did not come up.
    """
    programs = programs_on_free_ports(directory)
    with Stack() as stack:
        start_engines(stack, programs, lambda _: None)
        apply_migrations(programs)
        start_ingest(stack, programs)
        yield IngestStack(stack, programs, issue_access(programs))


def check_ports(settings: StackSettings) -> None:
    """Look at all ports before anything is started.

    Raises:
        PortTaken: one of them is in use.
    """
    for name, port in settings.ports._asdict().items():
        if is_taken(port):
            raise PortTaken(
                f"Port {port} is taken by another program, and {name} needs it: stop that program, set "
                f"LOCAL_STACK_{name.upper()}_PORT to a free port, or add to all ports with --port-offset."
            )


def bring_up(stack: Stack, programs: Programs, say: Callable[[str], None], *, with_dagster: bool = True) -> None:
    """Start everything, each process after those that it needs; without Dagster, only what takes events in.

    Raises:
        PortTaken: a port is in use; nothing was started.
        ProcessFailed: a process did not come up; what was started is the stack's to stop.
        StopRequested: the user pressed Ctrl-C meanwhile.
    """
    check_ports(programs.settings)
    start_engines(stack, programs, say)
    # Reading all models takes seconds and needs no server: it goes on while the others come up.
    preparation = stack.launch(programs.dagster_preparation()) if with_dagster else []
    start_serving(stack, programs, say)
    for task in preparation:
        start_dagster_page(stack, programs, task, say)
        start_dagster_daemon(stack, programs)


def start_serving(stack: Stack, programs: Programs, say: Callable[[str], None]) -> Access:
    """Bring the schema up to date, start what takes events in, and return the ways in; the errors of `bring_up`."""
    say("Bringing the schema up to date")
    apply_migrations(programs)
    say("Starting the API and the flusher")
    start_ingest(stack, programs)
    return issue_access(programs)


def start_dagster_page(stack: Stack, programs: Programs, preparation: Process, say: Callable[[str], None]) -> None:
    """Start Dagster's page and the server that loads our definitions for it; runs can be asked for from now on."""
    say("Starting Dagster")
    stack.finish(preparation)
    stack.start(programs.dagster_code())
    stack.start(programs.dagster_webserver(), stop_with_last=True)


def start_dagster_daemon(stack: Stack, programs: Programs) -> None:
    """Start what carries out the runs that were asked for, and those that are due."""
    stack.start(programs.dagster_daemon(), stop_with_last=True)


def start_engines(stack: Stack, programs: Programs, say: Callable[[str], None]) -> None:
    """Start Valkey and ClickHouse and wait for both."""
    say("Starting Valkey and ClickHouse")
    credentials = programs.credentials
    write_users_file(
        programs.state.users_file,
        credentials.clickhouse_password,
        credentials.bi_reader_password,
        programs.settings.database,
    )
    stack.start(programs.valkey(), programs.clickhouse())


def start_ingest(stack: Stack, programs: Programs) -> None:
    """Start the API and the flusher; stopping goes the other way round, so that the flusher sees the last event."""
    flusher = stack.launch(programs.flusher())
    stack.start(programs.api())
    stack.wait_healthy(flusher)


def apply_migrations(programs: Programs) -> None:
    """Bring the tables that dbt does not own up to date.

    Raises:
        ProcessFailed: the warehouse refuses; its data is as it was after the last applied migration.
    """
    settings = warehouse_settings(programs)
    try:
        client = connect(settings)
        try:
            migrate(client, settings)
        finally:
            client.close()
    except (MigrationDrift, StatementRefused, WarehouseUnavailable) as error:
        raise ProcessFailed(f"The migrations failed: {error}") from error


def warehouse_settings(programs: Programs) -> WarehouseSettings:
    """Return how this process logs in to the stack's warehouse."""
    return WarehouseSettings(
        clickhouse_host=f"{LOOPBACK}:{programs.settings.ports.clickhouse}",
        clickhouse_username="default",
        clickhouse_password=SecretStr(programs.credentials.clickhouse_password),
        clickhouse_database=programs.settings.database,
        clickhouse_cluster="",
    )


def issue_access(programs: Programs) -> Access:
    """Return an administrator's token and write keys, issued by the command of any operator.

    Those of an earlier start are used again while they last, so that the lists of issued ones stay short.

    Raises:
        ProcessFailed: the command failed.
    """
    earlier = programs.state.read_access()
    ports = programs.settings.ports
    api_url, dagster_url = f"http://{LOOPBACK}:{ports.api}", f"http://{LOOPBACK}:{ports.dagster}"
    if earlier is not None and earlier.probe_key and time.time() - earlier.issued_at < TOKEN_DAYS / 2 * 86_400:
        access = replace(earlier, api_url=api_url, dagster_url=dagster_url)
    else:
        # Each command takes a second to start.
        with ThreadPoolExecutor() as pool:
            token = pool.submit(
                _analytics, programs, "token", "issue", "--quiet",
                "--subject", "local-stack", "--role", "admin", "--expires", f"{TOKEN_DAYS}d",
            )  # fmt: skip
            key, probe_key = (
                pool.submit(
                    _analytics, programs, "key", "issue", "--quiet", "--source", source, "--name", "local-stack"
                )
                for source in ("web", "probe")
            )
            access = Access(api_url, dagster_url, token.result(), key.result(), time.time(), probe_key.result())
    programs.state.write_access(access)
    return access


def _analytics(programs: Programs, *arguments: str) -> str:
    # Not through a Process: its output would end in a log file, and this output is a secret.
    answer = subprocess.run(
        [sys.executable, "-m", "command_line", *arguments],
        cwd=PROJECT_ROOT,
        env=programs.environment,
        capture_output=True,
        text=True,
        timeout=ACCESS_TIMEOUT_SECONDS,
        # Out of reach of the terminal's Ctrl-C, like all that we start.
        start_new_session=True,
        check=False,
    )
    if answer.returncode != 0:
        raise ProcessFailed(f"`analytics {' '.join(arguments)}` failed: {answer.stderr.strip()}")
    return answer.stdout.strip()
