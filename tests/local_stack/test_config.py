import pytest

from local_stack.config import PROJECT_ROOT, Ports, StackSettings, inherited_environment


def test_settings_keep_state_beside_the_project_whatever_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    settings = StackSettings()

    assert settings.state_dir == PROJECT_ROOT / ".analytics"
    assert settings.ports == Ports(3007, 8123, 6379, 3000, 3030)


def test_settings_read_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_STACK_API_PORT", "4000")
    monkeypatch.setenv("LOCAL_STACK_PORT_OFFSET", "10")
    monkeypatch.setenv("CLICKHOUSE_DATABASE", "staging")
    # Not ours, and too common a name to be read by accident.
    monkeypatch.setenv("DATABASE", "unrelated")

    settings = StackSettings()

    assert settings.ports == Ports(4010, 8133, 6389, 3010, 3040)
    assert settings.database == "staging"


def test_environment_reaches_the_loopback_interface_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")

    environment = inherited_environment()

    assert environment["HTTP_PROXY"] == "http://proxy.example:3128"
    assert environment["NO_PROXY"] == environment["no_proxy"] == "127.0.0.1,localhost"
