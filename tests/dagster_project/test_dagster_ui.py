"""Journeys through Dagster's page, with its real processes and a real browser."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from dagster_project.prepare import prepare_instance
from ingest_api.errors import DagsterAway
from ingest_api.experiments.dagster_runs import RESULTS_JOB, DagsterRuns
from local_stack.dagster_api import DagsterApi
from local_stack.ports import free_port
from tests.dagster_project.conftest import Prepared, fingerprints
from warehouse.client import Client

LAYERS = ("raw", "staging", "intermediate", "marts")
LOCATION = "dagster_project.definitions"


@contextmanager
def running(command: list[str], environment: dict[str, str], root: Path, log_path: Path) -> Iterator[None]:
    """Run a process in a group of its own, and end the group whatever happens."""
    with log_path.open("w") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=root, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for_webserver(url: str, log_path: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/server_info", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"dagster-webserver did not start: {log_path.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def dagster_url(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    project_root, directory = Path(__file__).parents[2], tmp_path_factory.mktemp("dagster_ui")
    home = directory / "home"
    prepare_instance(home, in_postgres=False)
    # As the preparation does: the two processes would trip over each other making the tables.
    dg.DagsterInstance.from_config(str(home)).dispose()
    # The sensor stays quiet: a journey starts its runs itself.
    quiet = {
        "DAGSTER_HOME": str(home),
        "ANALYTICS_RUN_INTERVAL_SECONDS": "86400",
        "FRESHNESS_DAEMON_INTERVAL_SECONDS": "2",
    }
    environment = dict(os.environ) | prepared.variables | quiet
    commands = Path(sys.executable).parent
    port = str(free_port())
    webserver = [str(commands / "dagster-webserver"), "-h", "127.0.0.1", "-p", port, "-m", LOCATION]
    daemon = [str(commands / "dagster-daemon"), "run", "-m", LOCATION]
    with (
        running(webserver, environment, project_root, directory / "webserver.log"),
        running(daemon, environment, project_root, directory / "daemon.log"),
    ):
        url = f"http://127.0.0.1:{port}"
        wait_for_webserver(url, directory / "webserver.log")
        yield url


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("This test drives a browser: install the Debian package chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield page
        browser.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    directory = Path(os.environ.get("SCREENSHOT_DIRECTORY", tmp_path / "screenshots"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


_RUN = """
query($id: ID!) {
  runOrError(runId: $id) { ... on Run { startTime endTime assetMaterializations { assetKey { path } } } }
}
"""


def run_of(url: str, run_id: str) -> dict[str, Any]:
    answer = httpx.post(f"{url}/graphql", json={"query": _RUN, "variables": {"id": run_id}}, trust_env=False)
    run: dict[str, Any] = answer.json()["data"]["runOrError"]
    return run


def launch(url: str, job: str) -> str:
    """Start a job; return the beginning of the run's id, as the page shows it."""
    with DagsterApi(url, lambda: None) as dagster:
        return dagster.launch(job)[:8]


def outcome_of(page: Page, url: str, run: str) -> tuple[str, str]:
    """Look at the run until its page says how it ended; return its whole id and that."""
    page.goto(f"{url}/runs")
    page.get_by_text(run).first.click()
    page.wait_for_url(f"**/runs/{run}*")
    run_id = urlsplit(page.url).path.split("/")[-1]
    outcome = page.get_by_text("Success", exact=True).or_(page.get_by_text("Failure", exact=True)).first
    outcome.wait_for(timeout=400_000)
    return run_id, outcome.inner_text()


@pytest.mark.timeout(600)
def test_runs_that_are_launched_at_once_write_one_after_the_other_and_change_nothing(
    first_run: object, prepared: Prepared, client: Client, dagster_url: str
) -> None:
    before = fingerprints(client, prepared.settings)

    with DagsterApi(dagster_url, lambda: None) as dagster:
        runs = [dagster.launch("hourly_marts_job"), dagster.launch("hot_marts_job")]
        for run_id in runs:
            dagster.wait_for_success(run_id)

    times = sorted((run["startTime"], run["endTime"]) for run in (run_of(dagster_url, run_id) for run_id in runs))
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(times))
    assert fingerprints(client, prepared.settings) == before


@pytest.mark.timeout(600)
def test_results_of_experiments_are_started_by_the_api(first_run: object, dagster_url: str) -> None:
    runs = DagsterRuns(dagster_url)
    # In the thread of the tests the browser's driver may have a loop that runs.
    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(asyncio.run, runs.start(RESULTS_JOB)).result()

        assert started.url == f"{dagster_url}/runs/{started.run_id}"
        with DagsterApi(dagster_url, lambda: None) as dagster:
            dagster.wait_for_success(started.run_id)
        with pytest.raises(DagsterAway, match="does not know this job"):
            thread.submit(asyncio.run, runs.start("no_such_job")).result()


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_newcomer_sees_the_graph_starts_a_run_and_finds_green_checks(
    first_run: object, definitions: dg.Definitions, dagster_url: str, page: Page, screenshots: Path
) -> None:
    page.goto(f"{dagster_url}/asset-groups")
    for layer in LAYERS:
        expect(page.get_by_text(layer, exact=True).first).to_be_visible()
    page.screenshot(path=screenshots / "1-layers.png")
    # Of all tables at once the page draws only those that fit in; those behind one mart do.
    lineage = f"{dagster_url}/assets/marts/funnels?view=lineage&lineageScope=upstream&lineageDepth=10"
    page.goto(lineage)
    for table in ("events", "stg_events", "int_events", "funnels"):
        expect(page.get_by_text(table, exact=True).last).to_be_visible()
    page.screenshot(path=screenshots / "2-lineage.png")

    _, outcome = outcome_of(page, dagster_url, launch(dagster_url, "hourly_marts_job"))
    page.screenshot(path=screenshots / "3-run.png")
    assert outcome == "Success"

    job = definitions.resolve_job_def("hourly_marts_job")
    mart = dg.AssetKey(["marts", "kpis_daily"])
    checks = job.asset_layer.asset_graph.get_check_keys_for_assets({mart})
    page.goto(f"{dagster_url}/assets/marts/kpis_daily?view=checks")
    # The others are heavy and wait for the nightly job.
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(len(checks))
    page.screenshot(path=screenshots / "4-checks.png")
    assert len(checks) >= 3

    page.goto(f"{dagster_url}/assets/marts/kpis_daily?view=overview")
    expect(page.get_by_text("Row count").first).to_be_visible()
    expect(page.get_by_text("Passing", exact=True).first).to_be_visible()
    expect(page.get_by_text("Fails if more than 3 hours since last materialization").first).to_be_visible()
    page.screenshot(path=screenshots / "5-mart.png")

    page.goto(f"{dagster_url}/automation")
    expect(page.get_by_text("new_events_sensor").first).to_be_visible()
    page.wait_for_timeout(3000)
    page.screenshot(path=screenshots / "6-automation.png")
    page.goto(lineage)
    page.wait_for_timeout(3000)
    page.screenshot(path=screenshots / "7-green.png")


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_three_days_are_backfilled_in_one_run_and_change_nothing(
    first_run: object,
    prepared: Prepared,
    client: Client,
    no_requests_left: None,
    dagster_url: str,
    page: Page,
    screenshots: Path,
) -> None:
    before = fingerprints(client, prepared.settings)
    table = f"{prepared.settings.database('ops')}.replay_requests"

    page.goto(f"{dagster_url}/assets/ops/replay_requests")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Show all partitions").click()
    days = page.get_by_role("dialog").get_by_role("textbox")
    days.fill("[2026-03-01...2026-03-03]")
    days.press("Enter")
    page.screenshot(path=screenshots / "8-backfill.png")
    page.get_by_role("button", name="Launch backfill").click()

    deadline = time.monotonic() + 90
    while client.query(f"SELECT count() FROM {table}").result_rows[0][0] < 3:
        assert time.monotonic() < deadline
        page.wait_for_timeout(500)
    with DagsterApi(dagster_url, lambda: None) as dagster:
        dagster.wait_for_success(dagster.launch("hot_marts_job"))
    page.goto(f"{dagster_url}/assets/ops/replay_requests?view=partitions&partition=2026-03-02")
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "9-backfilled.png")
    assert client.query(f"SELECT count() FROM {table}").result_rows[0][0] == 3
    assert fingerprints(client, prepared.settings) == before


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_broken_row_fails_its_check_and_blocks_only_what_stands_behind_its_table(
    first_run: object,
    false_revenue: None,
    definitions: dg.Definitions,
    dagster_url: str,
    page: Page,
    screenshots: Path,
) -> None:
    run_id, outcome = outcome_of(page, dagster_url, launch(dagster_url, "hourly_marts_job"))
    page.screenshot(path=screenshots / "10-broken-run.png")

    page.goto(f"{dagster_url}/assets/marts/revenue_daily?view=checks")
    for verdict in ("revenue_daily_adds_up Failed", "revenue_daily_key_is_unique Succeeded"):
        expect(page.locator("body")).to_contain_text(verdict, use_inner_text=True)
    page.screenshot(path=screenshots / "11-broken-check.png")

    graph = definitions.resolve_job_def("hourly_marts_job").asset_layer.asset_graph
    broken = dg.AssetKey(["marts", "revenue_daily"])
    behind = graph.get_ancestor_asset_keys
    blocked = {key for key in graph.executable_asset_keys if key != broken and broken in behind(key)}
    built = {dg.AssetKey(one["assetKey"]["path"]) for one in run_of(dagster_url, run_id)["assetMaterializations"]}
    assert outcome == "Failure"
    assert dg.AssetKey(["marts", "kpis_daily"]) in blocked
    assert built == graph.executable_asset_keys - blocked
