import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from tests.dagster_project.conftest import Prepared
from tests.ingest_api.serving import seconds_until
from warehouse.client import StatementRefused, WarehouseUnavailable


def test_dbt_process_is_stopped_when_its_run_ends_early(environment: Prepared) -> None:
    from dagster_project.defs.transform.assets import ended

    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stderr=subprocess.DEVNULL) as process:
        with pytest.raises(KeyError), ended(SimpleNamespace(process=process)):  # type: ignore[arg-type]
            raise KeyError("unknown test")

        assert process.poll() is not None


@pytest.mark.parametrize(
    ("failure", "passes"),
    [
        ("Database Error in model sessions\n Code: 241. DB::Exception: Memory limit exceeded", True),
        ("Database Error in model sessions\n Code: 60. DB::Exception: Unknown table", False),
        ("Code: 241. DB::Exception: ...\n\nCode: 62. DB::Exception: Syntax error", False),
        ("HTTPConnectionPool(host='localhost', port=8123): Max retries exceeded with url: /", True),
        ("Failure in test revenue_daily_adds_up: Got 1 result, configured to fail if != 0", False),
    ],
)
def test_only_a_failure_that_may_pass_is_tried_again(environment: Prepared, failure: str, passes: bool) -> None:
    from dagster_project.defs.transform.assets import may_pass

    assert may_pass(failure) is passes


def test_step_waits_longer_each_time_for_a_clickhouse_that_is_away(environment: Prepared) -> None:
    from dagster_project.defs.resources import patiently

    waits = []
    for attempt in range(3):
        context = SimpleNamespace(op_execution_context=SimpleNamespace(retry_number=attempt))
        with pytest.raises(dg.RetryRequested) as request, patiently(context):  # type: ignore[arg-type]
            raise WarehouseUnavailable("Connection refused")
        waits.append(request.value.seconds_to_wait)

    assert waits == [15, 30, 60]


def test_failure_that_no_further_attempt_can_mend_is_final(environment: Prepared) -> None:
    from dagster_project.defs.resources import patiently

    with pytest.raises(StatementRefused), patiently(SimpleNamespace()):  # type: ignore[arg-type]
        raise StatementRefused("Unknown table", 60)


STUCK_DBT = """
import runpy, sys, time, types
sys.modules["dbt.cli.main"] = types.SimpleNamespace(cli=lambda: (print("up", flush=True), time.sleep(60)))
runpy.run_module("dagster_project.leashed_dbt", run_name="__main__")
"""
RUN = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""


def test_dbt_ends_when_the_run_that_started_it_is_killed(project_root: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN, STUCK_DBT], stdout=subprocess.PIPE, text=True, cwd=project_root)
    assert run.stdout is not None
    pid, word = int(run.stdout.readline()), run.stdout.readline().strip()

    run.kill()

    # Its end of the pipe is closed as well.
    assert word == "up"
    assert run.communicate(timeout=30) == ("", None)
    assert seconds_until(lambda: not is_running(pid)) < 10


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False
