"""`python -m ingest_api` as a process."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from local_stack.processes import free_port
from tests.ingest_api.serving import seconds_until


def environment(**changes: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TZ", "LANG") if name in os.environ}
    nowhere = f"127.0.0.1:{free_port()}"
    own = {"CLICKHOUSE_HOST": nowhere, "REDIS_URL": f"redis://{nowhere}", "JWT_SECRET": "s" * 32}
    return {**kept, **own, "PORT": str(free_port()), **changes}


def start(settings: dict[str, str], root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ingest_api"]
    return subprocess.Popen(command, env=settings, cwd=root, stderr=subprocess.PIPE, text=True)


def answers(settings: dict[str, str]) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{settings['PORT']}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def test_process_exits_with_one_sentence_when_the_secret_is_missing(project_root: Path) -> None:
    process = start(environment(JWT_SECRET=""), project_root)

    _, said = process.communicate(timeout=30)

    assert process.returncode == 2
    assert said.startswith("ingest_api cannot start: JWT_SECRET: set it to a secret of at least 32 bytes")
    assert said.count("\n") == 1


def test_process_exits_with_one_sentence_when_the_tracking_plan_is_wrong(project_root: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text("version: 1\nevents: [{name: visit, owner: o}]\n")
    process = start(environment(ANALYTICS_TRACKING_PLAN=str(tmp_path)), project_root)

    _, said = process.communicate(timeout=30)

    assert process.returncode == 2
    assert said == ("ingest_api cannot start: ANALYTICS_TRACKING_PLAN: shop.yml: events[0].description: is missing\n")


def test_process_exits_with_one_sentence_when_the_file_of_countries_cannot_be_read(
    project_root: Path, tmp_path: Path
) -> None:
    process = start(environment(ANALYTICS_GEOIP_FILE=str(tmp_path / "countries.mmdb")), project_root)

    _, said = process.communicate(timeout=30)

    assert process.returncode == 2
    assert said.startswith(f"ingest_api cannot start: ANALYTICS_GEOIP_FILE: {tmp_path}/countries.mmdb is not")
    assert said.count("\n") == 1


def test_process_exits_3_when_the_port_is_taken(project_root: Path) -> None:
    settings = environment()
    with socket.create_server(("127.0.0.1", int(settings["PORT"]))):
        process = start(settings, project_root)

        _, said = process.communicate(timeout=30)

    assert process.returncode == 3
    assert "address already in use" in said


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_process_starts_without_its_dependencies_and_stops_in_order(project_root: Path, stop: signal.Signals) -> None:
    settings = environment()
    process = start(settings, project_root)
    seconds_until(lambda: answers(settings), patience_seconds=60)

    process.send_signal(stop)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 0, said
    assert '"event": "Application shutdown complete."' in said
    assert "Traceback" not in said
