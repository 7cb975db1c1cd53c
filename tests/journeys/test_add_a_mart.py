"""docs/add_a_mart.md, followed to the letter in a copy of the project, against a running service."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local_stack.event_stream import wait_until_drained
from local_stack.startup import ingest_stack
from local_stack.valkey_server import valkey_url

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = (".git", ".venv", ".analytics", ".*_cache", "__pycache__", "target", "logs")
SIGNUPS = [{"eventName": "signup", "userId": user, "context": {"country": "DE"}} for user in ("ann", "bob")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy = tmp_path / "project"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return copy


@pytest.fixture
def environment(project: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of the shell in which the page is followed: two people have signed up, the marts are built."""
    with ingest_stack(tmp_path / "stack") as running:
        programs, access = running.programs, running.access
        variables = {
            **programs.environment,
            "PYTHONPATH": str(project),
            "ANALYTICS_SAFETY_LAG_SECONDS": "0",
            "CLICKHOUSE_URL": f"http://127.0.0.1:{programs.settings.clickhouse_port}",
            "BI_READER_PASSWORD": programs.credentials.bi_reader_password,
        }
        httpx.post(
            f"{access.api_url}/api/analytics/track/batch",
            json={"events": SIGNUPS},
            headers={"x-write-key": access.write_key},
            trust_env=False,
        ).raise_for_status()
        url = valkey_url(programs.settings.ports.valkey, programs.credentials.valkey_password)
        wait_until_drained(url, programs.settings.database, lambda: None)
        build = ["analytics", "dbt", "build", "--quiet", "--exclude-resource-type", "unit_test"]
        subprocess.run(build, env=variables, check=True, cwd=project, timeout=240)
        yield variables


def test_page_leads_to_a_mart_that_is_built_shown_in_dagster_and_read(
    project: Path, environment: dict[str, str]
) -> None:
    page = (project / "docs" / "add_a_mart.md").read_text(encoding="utf-8")
    *files, build, show, read = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)

    def follow(block: str) -> str:
        answer = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env=environment,
            cwd=project,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    for block in files:
        follow(block)
    built, shown, found = follow(build), follow(show), follow(read)

    [promised] = re.findall(r"`(ERROR=\d+)`", page)
    assert promised in built
    assert "marts/signups_daily" in shown
    assert found == "DE\t2\n"
