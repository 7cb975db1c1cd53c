"""`analytics run`, `dbt` and `docs`: which ClickHouse they are told of, and that they are what they call."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from command_line.stack_commands import NoStack, dbt_environment, stack_environment
from local_stack.config import PROJECT_ROOT, StackSettings
from local_stack.state_directory import Roster, RunningProcess, StateDirectory
from tests.conftest import Gateway, fresh_settings
from tests.dagster_project.conftest import variables_of


def roster(*processes: tuple[str, str]) -> Roster:
    return Roster(True, [RunningProcess(name, 1, address, "", time.time()) for name, address in processes])


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "command_line", *arguments]


def test_running_stack_is_found_at_the_port_it_was_started_with(tmp_path: Path) -> None:
    settings, state = StackSettings(state_dir=tmp_path, database="dev"), StateDirectory(tmp_path)

    with state.held():
        state.write_roster(roster(("api", "http://127.0.0.1:1"), ("clickhouse", "http://127.0.0.1:8223")))
        environment = stack_environment(settings, {})

    assert environment["CLICKHOUSE_HOST"] == "127.0.0.1:8223"
    assert environment["CLICKHOUSE_DATABASE"] == "dev"
    assert environment["CLICKHOUSE_PASSWORD"] in state.credentials_file.read_text()


def test_caller_who_says_where_clickhouse_is_is_believed(tmp_path: Path) -> None:
    inherited = {"CLICKHOUSE_HOST": "warehouse:8123", "CLICKHOUSE_PASSWORD": "secret"}

    assert stack_environment(StackSettings(state_dir=tmp_path), inherited) == inherited


def test_without_a_stack_nothing_is_made_and_the_way_out_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state"

    with pytest.raises(NoStack, match=f"no stack runs in {state}: start one with `make up`, or set CLICKHOUSE_HOST"):
        stack_environment(StackSettings(state_dir=state), {})

    assert not state.exists()


def test_dbt_finds_the_project_from_anywhere_and_leaves_the_manifest_of_dagster_alone() -> None:
    environment = dbt_environment({"DBT_TARGET_PATH": "/state/dbt/target"}, "by_hand")

    assert environment["DBT_PROJECT_DIR"] == environment["DBT_PROFILES_DIR"] == str(PROJECT_ROOT / "dbt")
    assert environment["DBT_TARGET_PATH"] == "/state/dbt/target/by_hand"
    assert dbt_environment({}, "docs")["DBT_TARGET_PATH"] == str(PROJECT_ROOT / "dbt/target/docs")


def test_arguments_and_exit_code_are_those_of_the_command(tmp_path: Path) -> None:
    environment = os.environ | {"CLICKHOUSE_HOST": "nowhere:1", "PYTHONPATH": str(PROJECT_ROOT)}
    say = "import os, sys; print(sys.argv[1:], os.environ['CLICKHOUSE_HOST']); sys.exit(7)"

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*arguments), env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    answer = run("run", "python", "-c", say, "--help", "-x", "a b")
    unknown = run("run", "no-such-command")
    dbts_own = run("dbt", "ls", "--help")

    assert (answer.returncode, answer.stdout) == (7, "['--help', '-x', 'a b'] nowhere:1\n")
    assert (unknown.returncode, unknown.stderr) == (127, "analytics: no-such-command: No such file or directory\n")
    assert "Usage: dbt ls" in dbts_own.stdout


@pytest.fixture(scope="module")
def documentation(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address at which `analytics docs` serves, from an environment without marts."""
    directory = tmp_path_factory.mktemp("docs")
    variables = variables_of(fresh_settings(gateway), directory, directory / "target")
    environment = os.environ | variables | {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command("docs", "--port", "0"), env=environment, cwd=directory, stdout=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        yield serving.stdout.readline().split()[4]
        serving.send_signal(signal.SIGINT)
        assert serving.wait(timeout=20) == 0


def test_documentation_is_one_page_and_nothing_beside_it(documentation: str) -> None:
    page = httpx.get(documentation, trust_env=False)
    beside = httpx.get(f"{documentation}manifest.json", trust_env=False)

    assert page.status_code == 200
    assert "One row per funnel, entry day and step." in page.text
    assert beside.status_code == 404


@pytest.mark.browser
def test_documentation_shows_a_model_and_asks_nobody_else(documentation: str) -> None:
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, asked = browser.new_page(), set[str]()
        page.on("request", lambda request: asked.add(request.url))
        page.goto(f"{documentation}#!/model/model.analytics.funnels")
        expect(page.get_by_text("One row per funnel, entry day and step.").first).to_be_visible(timeout=30_000)
        expect(page.get_by_text("drop_off_rate").first).to_be_visible()
        browser.close()

    assert {url for url in asked if url.startswith("http") and not url.startswith(documentation)} == set()
