from pathlib import Path

import pytest

from local_stack.config import StackSettings
from local_stack.process import ProcessFailed
from local_stack.processes import Programs
from local_stack.state_directory import Access
from local_stack.supervisor import programs_of


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return programs_of(StackSettings(state_dir=tmp_path))


def test_missing_engine_is_one_sentence(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_stack.processes.find_spec", lambda name: None)

    with pytest.raises(ProcessFailed, match="The package chdb-core is missing: run `pip install") as failure:
        programs.clickhouse()

    assert "\n" not in str(failure.value)


def test_processes_are_told_where_things_are_whatever_the_caller_had_set(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_HOST", "production.example:8123")
    monkeypatch.setenv("REDIS_URL", "redis://production.example:6379")
    monkeypatch.setenv("JWT_SECRET", "the secret of production")

    environment = programs.environment

    assert not [value for value in environment.values() if "production" in value]
    assert environment["CLICKHOUSE_HOST"] == "127.0.0.1:8123"
    assert environment["HOST"] == "127.0.0.1"


def test_caller_may_say_how_processes_behave(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANALYTICS_SAFETY_LAG_SECONDS", raising=False)
    monkeypatch.setenv("ANALYTICS_FLUSH_INTERVAL", "250")
    monkeypatch.setenv("LOG_LEVEL", "debug")

    environment = programs.environment

    assert environment["ANALYTICS_FLUSH_INTERVAL"] == "250"
    assert environment["ANALYTICS_SAFETY_LAG_SECONDS"] == "2"
    assert environment["LOG_LEVEL"] == "debug"


def test_no_password_is_on_a_command_line(programs: Programs) -> None:
    credentials = programs.credentials
    secrets = (credentials.jwt_secret, credentials.clickhouse_password, credentials.valkey_password)
    all_programs = [
        programs.valkey(),
        programs.clickhouse(),
        programs.flusher(),
        programs.api(),
        programs.dagster_preparation(),
        programs.dagster_code(),
        programs.dagster_webserver(),
        programs.dagster_daemon(),
    ]

    words = [word for program in all_programs for word in program.command]

    assert not [word for word in words if any(secret in word for secret in secrets)]


def test_only_the_process_that_sends_the_freshness_probe_gets_its_key(programs: Programs) -> None:
    access = Access("http://127.0.0.1:3007", "http://127.0.0.1:3000", "token", "wk_key", 1_000.0, "wk_probe")
    programs.state.path.mkdir(exist_ok=True)
    programs.state.write_access(access)

    environment = programs.dagster_code().environment

    assert environment["ANALYTICS_PROBE_URL"] == "http://127.0.0.1:3007"
    assert environment["ANALYTICS_PROBE_WRITE_KEY"] == "wk_probe"
    others = [programs.api(), programs.flusher(), programs.valkey(), programs.clickhouse()]
    assert not [program.name for program in others if "ANALYTICS_PROBE_WRITE_KEY" in program.environment]


def test_nothing_is_probed_before_there_is_a_key_for_it(programs: Programs) -> None:
    environment = programs.dagster_code().environment

    assert "ANALYTICS_PROBE_URL" not in environment
