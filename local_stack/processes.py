"""How each process of the stack is run."""

import sys
from collections.abc import Mapping
from pathlib import Path

from local_stack.config import PROJECT_ROOT, inherited_environment
from local_stack.health import http_answers
from local_stack.ports import LOOPBACK, free_port
from local_stack.process import Process, ProcessFailed, Program
from local_stack.valkey_server import valkey_program, valkey_url

__all__ = ["Process", "ProcessFailed", "Program", "free_port", "start_gateway", "start_valkey", "valkey_url"]




def gateway_program(directory: Path, port: int, users_file: Path, log_path: Path, env: Mapping[str, str]) -> Program:
    """Return the ClickHouse engine with its data below `directory`."""
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
        healthy=lambda: http_answers(f"{address}/ping"),
        start_timeout_seconds=60,
        stop_timeout_seconds=20,
    )


def start_valkey(directory: Path, port: int, password: str = "") -> Process:
    """Start a Valkey server alone, its data and its log below `directory`; call `wait_healthy()` before use."""
    return Process(valkey_program(directory, port, password, directory / "valkey.log", inherited_environment()))


def start_gateway(directory: Path, port: int, users_file: Path) -> Process:
    """Start a ClickHouse engine alone, its data and its log below `directory`; call `wait_healthy()` before use."""
    program = gateway_program(
        directory / "data", port, users_file, directory / "clickhouse.log", inherited_environment()
    )
    return Process(program)
