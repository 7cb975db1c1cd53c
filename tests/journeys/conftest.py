"""A stack for a journey: a state directory of its own, free ports, and the command as a user types it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_stack.config import PROJECT_ROOT
from local_stack.processes import Programs
from local_stack.startup import programs_on_free_ports, warehouse_settings
from local_stack.state_directory import Access
from warehouse.client import connect


@dataclass(frozen=True)
class Journey:
    """What a journey works with."""

    programs: Programs
    environment: dict[str, str]
    elsewhere: Path
    """Where the commands are typed: not the project's directory."""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "local_stack", *arguments]

    def run(self, *arguments: str, timeout: float = 120, answer: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments),
            cwd=self.elsewhere,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            input=answer,
            check=False,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.elsewhere,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def access(self) -> Access:
        access = self.programs.state.read_access()
        assert access is not None
        return access

    def pids(self) -> dict[str, int]:
        return {process.name: process.pid for process in self.programs.state.read_roster().processes}

    def post(self, *events: dict[str, Any]) -> httpx.Response:
        return httpx.post(
            f"{self.access.api_url}/api/analytics/track/batch",
            json={"events": list(events)},
            headers={"x-write-key": self.access.write_key},
            trust_env=False,
        )

    def stored_event_ids(self) -> list[str]:
        """Ids in `raw.events`, one for each row."""
        settings = warehouse_settings(self.programs)
        client = connect(settings)
        try:
            rows = client.query(
                "SELECT event_id FROM {raw:Identifier}.events", parameters={"raw": settings.database("raw")}
            ).result_rows
        finally:
            client.close()
        return [row[0] for row in rows]


def runs(pid: int) -> bool:
    """Whether it runs: a killed orphan may stay in the table of processes until somebody collects it."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def eventually(condition: Callable[[], object], timeout_seconds: float = 20) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    programs = programs_on_free_ports(tmp_path / "state with space")
    ports = programs.settings.ports._asdict()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {
        **os.environ,
        **{f"LOCAL_STACK_{name.upper()}_PORT": str(port) for name, port in ports.items()},
        "LOCAL_STACK_STATE_DIR": str(programs.state.path),
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    made = Journey(programs, environment, elsewhere)
    yield made
    left = made.pids()
    made.run("down")
    assert not [name for name, pid in left.items() if runs(pid)]
