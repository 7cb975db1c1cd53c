import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local_stack.config import PROJECT_ROOT, inherited_environment
from local_stack.state_directory import Access, AlreadyRunning, Roster, RunningProcess, StateDirectory

HOLD = """
import sys, time
from pathlib import Path
from local_stack.state_directory import StateDirectory
with StateDirectory(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(60)
"""
PROCESS = RunningProcess("api", 42, "http://127.0.0.1:3007", "http://127.0.0.1:3007/health", 1_000.0)


def hold_elsewhere(path: Path) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=PROJECT_ROOT,
        env=inherited_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_directory_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    holder = hold_elsewhere(tmp_path)
    state = StateDirectory(tmp_path)

    with pytest.raises(AlreadyRunning, match=f"already running .process {holder.pid}."), state.held():
        pass
    seen = state.holder()

    holder.kill()
    holder.communicate()
    assert seen == holder.pid


def test_directory_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    holder = hold_elsewhere(tmp_path)
    state = StateDirectory(tmp_path)
    state.write_roster(Roster(is_ready=True, processes=[PROCESS]))
    holder.kill()
    holder.communicate()

    with state.held():
        roster = state.read_roster()

    assert roster == Roster(is_ready=False, processes=[])
    assert state.holder() is None


def test_asking_for_the_holder_does_not_keep_a_supervisor_out(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with state.held():
        pass
    finished = threading.Event()

    def ask() -> None:
        while not finished.is_set():
            state.holder()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(20):
            with state.held():
                pass
    finally:
        finished.set()
        asking.join()

    assert state.is_used()


def test_roster_is_read_as_written(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    roster = Roster(is_ready=True, processes=[PROCESS])

    state.write_roster(roster)

    assert state.read_roster() == roster


def test_access_is_private_and_read_as_written(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    access = Access("http://127.0.0.1:3007", "http://127.0.0.1:3000", "token", "wk_key", 1_000.0, "wk_probe")

    state.write_access(access)

    assert state.read_access() == access
    assert stat.S_IMODE((tmp_path / "access.json").stat().st_mode) == 0o600


def test_access_of_a_version_without_a_probe_is_read(tmp_path: Path) -> None:
    earlier = {"api_url": "http://a", "dagster_url": "http://d", "token": "t", "write_key": "wk", "issued_at": 1.0}
    (tmp_path / "access.json").write_text(json.dumps(earlier))

    access = StateDirectory(tmp_path).read_access()

    assert access == Access("http://a", "http://d", "t", "wk", 1.0, probe_key="")


def test_directory_that_no_stack_used_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    StateDirectory(tmp_path).delete()

    assert (tmp_path / "thesis.txt").exists()


def test_used_directory_is_deleted_whole(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    with state.held():
        state.logs.mkdir()

    state.delete()

    assert not state.path.exists()
