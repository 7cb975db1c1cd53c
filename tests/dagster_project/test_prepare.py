import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dagster_project.prepare import close_abandoned_runs, main, prepare_instance
from tests.dagster_project.conftest import Prepared


def test_instance_has_telemetry_off_one_run_at_a_time_and_a_pool_of_one(tmp_path: Path) -> None:
    prepare_instance(tmp_path / "home", in_postgres=False)

    with dg.DagsterInstance.from_config(str(tmp_path / "home"), "dagster.yaml") as instance:
        assert not instance.telemetry_enabled
        concurrency = instance.get_concurrency_config()
        assert concurrency.run_queue_config is not None
        assert concurrency.run_queue_config.max_concurrent_runs == 1
        assert concurrency.pool_config.default_pool_limit == 1
        assert "Sqlite" in type(instance.event_log_storage).__name__
        assert type(instance.run_launcher).__name__ == "DefaultRunLauncher"


def test_instance_file_is_written_again_over_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: true}")

    path = prepare_instance(tmp_path, in_postgres=False)

    assert yaml.safe_load(path.read_text())["telemetry"] == {"enabled": False}


def test_postgres_instance_differs_only_in_storage_and_readers_beside_the_writer(tmp_path: Path) -> None:
    one_host = yaml.safe_load(prepare_instance(tmp_path / "one", in_postgres=False).read_text())
    many_hosts = yaml.safe_load(prepare_instance(tmp_path / "many", in_postgres=True).read_text())

    storage = many_hosts.pop("storage")
    runs = many_hosts["concurrency"].pop("runs")
    one_host["concurrency"].pop("runs")

    assert storage == {"postgres": {"postgres_url": {"env": "DAGSTER_PG_URL"}}}
    assert runs == {"max_concurrent_runs": 4}
    assert many_hosts == one_host


def test_definitions_say_in_one_sentence_what_to_do_when_the_manifest_is_missing(
    tmp_path: Path, project_root: Path
) -> None:
    environment = os.environ | {"DBT_TARGET_PATH": str(tmp_path)}

    loaded = subprocess.run(
        [sys.executable, "-c", "import dagster_project.definitions"],
        env=environment,
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert loaded.returncode == 1
    last_line = loaded.stderr.strip().splitlines()[-1]
    assert last_line.endswith(
        f"{tmp_path}/manifest.json is missing: run `python -m dagster_project.prepare` before Dagster starts."
    )


@dg.job
def small_job() -> None:
    pass


def test_runs_of_a_killed_dagster_are_marked_as_failed_and_the_others_stay(instance: dg.DagsterInstance) -> None:
    finished = small_job.execute_in_process(instance=instance).run_id
    abandoned = instance.create_run_for_job(small_job, status=dg.DagsterRunStatus.STARTED).run_id

    closed = close_abandoned_runs(instance)

    assert closed == [abandoned]
    assert {run.run_id: run.status.value for run in instance.get_runs()} == {
        finished: "SUCCESS",
        abandoned: "FAILURE",
    }


def test_preparation_beside_a_running_dagster_leaves_its_runs_alone(environment: Prepared) -> None:
    with dg.DagsterInstance.from_config(str(environment.home), "dagster.yaml") as instance:
        running = instance.create_run_for_job(small_job, status=dg.DagsterRunStatus.STARTED).run_id

        exit_code = main([])

        run = instance.get_run_by_id(running)
        instance.delete_run(running)
    assert exit_code == 0
    assert run is not None
    assert run.status == dg.DagsterRunStatus.STARTED


def test_fresh_start_closes_runs(environment: Prepared, capsys: pytest.CaptureFixture[str]) -> None:
    with dg.DagsterInstance.from_config(str(environment.home), "dagster.yaml") as instance:
        left = instance.create_run_for_job(small_job, status=dg.DagsterRunStatus.STARTED).run_id

        main(["--fresh-start"])

        run = instance.get_run_by_id(left)
        instance.delete_run(left)
    assert f"run {left} was left unfinished" in capsys.readouterr().out
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE
