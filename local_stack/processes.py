"""How each process of the stack is run, and the two engines started alone for tests."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from local_stack.config import PROJECT_ROOT, StackSettings, inherited_environment
from local_stack.credentials import Credentials
from local_stack.ports import LOOPBACK, free_port
from local_stack.process import Process, ProcessFailed, Program
from local_stack.state_directory import StateDirectory
from local_stack.valkey_server import valkey_program, valkey_url

__all__ = ["Process", "ProcessFailed", "Program", "Programs", "free_port", "start_gateway", "start_valkey"]

DEFINITIONS = "dagster_project.definitions"


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one stack; nothing is started here."""

    settings: StackSettings
    state: StateDirectory
    credentials: Credentials

    @property
    def environment(self) -> dict[str, str]:
        """Variables for every process. Where things are is ours to say; how they behave the caller may have said."""
        defaults = {"ANALYTICS_FLUSH_INTERVAL": "1000", "ANALYTICS_SAFETY_LAG_SECONDS": "2"}
        return {**defaults, **inherited_environment(), **self._places()}

    def _places(self) -> dict[str, str]:
        return {
            "HOST": LOOPBACK,
            "PORT": str(self.settings.ports.api),
            "CLICKHOUSE_HOST": f"{LOOPBACK}:{self.settings.ports.clickhouse}",
            "CLICKHOUSE_USERNAME": "default",
            "CLICKHOUSE_PASSWORD": self.credentials.clickhouse_password,
            "CLICKHOUSE_DATABASE": self.settings.database,
            "CLICKHOUSE_CLUSTER": "",
            "REDIS_URL": valkey_url(self.settings.ports.valkey, self.credentials.valkey_password),
            "JWT_SECRET": self.credentials.jwt_secret,
            "ANALYTICS_DAGSTER_URL": f"http://{LOOPBACK}:{self.settings.ports.dagster}",
            "DAGSTER_HOME": str(self.state.dagster),
            "DAGSTER_PG_URL": "",
            "DBT_TARGET_PATH": str(self.state.dbt / "target"),
            "DBT_LOG_PATH": str(self.state.dbt / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

    def valkey(self) -> Program:
        """Return the durable stream; raises ProcessFailed when the wheel has no server for this machine."""
        log_path = self.state.log_path("valkey")
        password = self.credentials.valkey_password
        return valkey_program(self.state.valkey, self.settings.ports.valkey, password, log_path, self.environment)

    def clickhouse(self) -> Program:
        """Return the warehouse."""
        log_path = self.state.log_path("clickhouse")
        users = self.state.users_file
        return gateway_program(self.state.clickhouse, self.settings.ports.clickhouse, users, log_path, self.environment)

    def flusher(self) -> Program:
        """Return what carries events from the stream to the warehouse; a stop lets it write what it holds."""
        return self._module("flusher", "ingest_api.events.flusher", stop_timeout_seconds=20)

    def api(self) -> Program:
        """Return the HTTP API; it is healthy when all that it needs is."""
        address = f"http://{LOOPBACK}:{self.settings.ports.api}"
        return self._module("api", "ingest_api", address=address, health_url=f"{address}/health")

    def dagster_preparation(self) -> Program:
        """Return the one-time step that writes the instance file and dbt's manifest."""
        return replace(
            self._module("prepare", "dagster_project.prepare", "--fresh-start", start_timeout_seconds=120), is_task=True
        )

    def dagster_code(self) -> Program:
        """Return the server that loads our definitions once for the webserver, the daemon and the runs."""
        port = self.settings.ports.dagster_code
        arguments = ["code-server", "start", "-h", LOOPBACK, "-p", str(port), "-m", DEFINITIONS]
        return Program(
            name="dagster-code",
            command=[console_script("dagster"), *arguments],
            environment={**self.environment, **self._probe()},
            log_path=self.state.log_path("dagster-code"),
            directory=PROJECT_ROOT,
            health_url=f"tcp://{LOOPBACK}:{port}",
            start_timeout_seconds=120,
            # Seen to ignore SIGTERM for a minute.
            stop_timeout_seconds=4,
        )

    def dagster_webserver(self) -> Program:
        """Return the Dagster page."""
        address = f"http://{LOOPBACK}:{self.settings.ports.dagster}"
        command = [console_script("dagster-webserver"), "-h", LOOPBACK, "-p", str(self.settings.ports.dagster)]
        return Program(
            name="dagster-web",
            command=[*command, "-w", str(self._workspace())],
            environment=self.environment,
            log_path=self.state.log_path("dagster-web"),
            directory=PROJECT_ROOT,
            address=address,
            health_url=f"{address}/server_info",
            start_timeout_seconds=120,
            stop_timeout_seconds=4,
        )

    def dagster_daemon(self) -> Program:
        """Return what starts runs on schedule and by sensors."""
        return Program(
            name="dagster-daemon",
            command=[console_script("dagster-daemon"), "run", "-w", str(self._workspace())],
            environment=self.environment,
            log_path=self.state.log_path("dagster-daemon"),
            directory=PROJECT_ROOT,
            stop_timeout_seconds=4,
        )

    def _probe(self) -> dict[str, str]:
        """What the code server needs to measure freshness: known once access was issued."""
        access = self.state.read_access()
        return {"ANALYTICS_PROBE_URL": access.api_url, "ANALYTICS_PROBE_WRITE_KEY": access.probe_key} if access else {}

    def _workspace(self) -> Path:
        server = {"host": LOOPBACK, "port": self.settings.ports.dagster_code, "location_name": DEFINITIONS}
        path = self.state.dagster / "workspace.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        return path

    def _module(
        self,
        name: str,
        module: str,
        *arguments: str,
        address: str = "",
        health_url: str = "",
        start_timeout_seconds: float = 30,
        stop_timeout_seconds: float = 10,
    ) -> Program:
        return Program(
            name=name,
            command=[sys.executable, "-m", module, *arguments],
            environment=self.environment,
            log_path=self.state.log_path(name),
            directory=PROJECT_ROOT,
            address=address,
            health_url=health_url,
            start_timeout_seconds=start_timeout_seconds,
            stop_timeout_seconds=stop_timeout_seconds,
        )


def gateway_program(directory: Path, port: int, users_file: Path, log_path: Path, env: Mapping[str, str]) -> Program:
    """Return the ClickHouse engine with its data below `directory`.

    Raises:
        ProcessFailed: the engine's wheel is not installed.
    """
    if find_spec("chdb") is None:
        raise ProcessFailed(
            "The package chdb-core is missing: run `pip install -e '.[local]'`; wheels exist for Linux and macOS, "
            "on x86-64 and ARM64."
        )
    directory.mkdir(parents=True, exist_ok=True)
    arguments = ["--data-dir", str(directory), "--host", LOOPBACK, "--port", str(port), "--users", str(users_file)]
    address = f"http://{LOOPBACK}:{port}"
    return Program(
        name="clickhouse",
        command=[sys.executable, "-m", "local_stack.clickhouse_gateway", *arguments],
        environment=env,
        log_path=log_path,
        directory=PROJECT_ROOT,
        address=address,
        health_url=f"{address}/ping",
        start_timeout_seconds=60,
        stop_timeout_seconds=20,
    )


def start_valkey(directory: Path, port: int, password: str = "") -> Process:
    """Start a Valkey server alone, its data and its log below `directory`; call `wait_healthy()` before use."""
    return Process(valkey_program(directory, port, password, directory / "valkey.log", inherited_environment()))


def start_gateway(directory: Path, port: int, users_file: Path) -> Process:
    """Start a ClickHouse engine alone, its data and its log below `directory`; call `wait_healthy()` before use."""
    log_path = directory / "clickhouse.log"
    return Process(gateway_program(directory / "data", port, users_file, log_path, inherited_environment()))


def console_script(name: str) -> str:
    """Return the path of a command that this Python environment has installed."""
    return str(Path(sys.executable).with_name(name))
