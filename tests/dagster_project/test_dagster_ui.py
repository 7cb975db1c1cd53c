"""The one journey through Dagster's page, with its real processes and a real browser."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from dagster_project.prepare import prepare_instance
from local_stack.ports import free_port
from tests.dagster_project.conftest import Prepared

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


@pytest.fixture
def dagster_url(prepared: Prepared, project_root: Path, tmp_path: Path) -> Iterator[str]:
    home = tmp_path / "home"
    prepare_instance(home, in_postgres=False)
    # As the preparation does: the two processes would trip over each other making the tables.
    dg.DagsterInstance.from_config(str(home)).dispose()
    # The sensor stays quiet: one run is enough for one journey.
    quiet = {"DAGSTER_HOME": str(home), "ANALYTICS_RUN_INTERVAL_SECONDS": "86400"}
    environment = dict(os.environ) | prepared.variables | quiet
    commands = Path(sys.executable).parent
    port = str(free_port())
    webserver = [str(commands / "dagster-webserver"), "-h", "127.0.0.1", "-p", port, "-m", LOCATION]
    daemon = [str(commands / "dagster-daemon"), "run", "-m", LOCATION]
    with (
        running(webserver, environment, project_root, tmp_path / "webserver.log"),
        running(daemon, environment, project_root, tmp_path / "daemon.log"),
    ):
        url = f"http://127.0.0.1:{port}"
        wait_for_webserver(url, tmp_path / "webserver.log")
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


@pytest.mark.browser
def test_newcomer_sees_the_graph_starts_a_run_and_finds_green_checks(
    first_run: object, definitions: dg.Definitions, dagster_url: str, page: Page, screenshots: Path
) -> None:
    groups = ",".join(f"global@global:{layer}" for layer in LAYERS)
    page.goto(f"{dagster_url}/asset-groups")
    for layer in LAYERS:
        expect(page.get_by_text(layer, exact=True).first).to_be_visible()
    page.screenshot(path=screenshots / "1-layers.png")
    page.goto(f"{dagster_url}/asset-groups?expanded={groups}")
    for table in ("events", "stg_events", "int_sessions", "sessions", "revenue_daily", "funnels", "kpis_daily"):
        expect(page.get_by_text(table, exact=True).first).to_be_attached()
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "2-assets.png")

    page.goto(f"{dagster_url}/locations/{LOCATION}/jobs/hourly_marts_job")
    page.get_by_role("button", name="Materialize all").click()
    run_id = page.get_by_text("Launched run").inner_text().split()[-1]
    page.goto(f"{dagster_url}/runs")
    page.get_by_text(run_id).first.click()
    page.wait_for_url(f"**/runs/{run_id}*")
    outcome = page.get_by_text("Success", exact=True).or_(page.get_by_text("Failure", exact=True)).first
    outcome.wait_for(timeout=120_000)
    page.screenshot(path=screenshots / "3-run.png")
    assert outcome.inner_text() == "Success"

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
    page.screenshot(path=screenshots / "5-mart.png")

    page.goto(f"{dagster_url}/automation")
    expect(page.get_by_text("new_events_sensor").first).to_be_visible()
    page.wait_for_timeout(3000)
    page.screenshot(path=screenshots / "6-automation.png")
    page.goto(f"{dagster_url}/asset-groups?expanded={groups}")
    page.wait_for_timeout(3000)
    page.screenshot(path=screenshots / "7-green.png")
