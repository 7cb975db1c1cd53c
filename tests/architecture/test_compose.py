"""docker-compose.yml against the code: the same processes, commands, ports and variables, and nothing unpinned."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from dagster_project.config import OrchestrationSettings
from ingest_api.config import ApiSettings
from local_stack.clickhouse_users import write_users_file
from local_stack.config import StackSettings
from local_stack.credentials import Credentials
from local_stack.processes import Program, Programs
from local_stack.state_directory import StateDirectory
from warehouse.config import WarehouseSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SECRETS = {"JWT_SECRET", "CLICKHOUSE_PASSWORD", "BI_READER_PASSWORD", "REDIS_PASSWORD", "POSTGRES_PASSWORD"}


def settings_names() -> set[str]:
    classes = (WarehouseSettings, ApiSettings, OrchestrationSettings)
    return {field.upper() for settings in classes for field in settings.model_fields} | {"ANALYTICS_SAFETY_LAG_SECONDS"}


def mentioned_variables() -> set[str]:
    return set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    credentials = Credentials(jwt_secret="j", clickhouse_password="c", bi_reader_password="b", valkey_password="v")
    return Programs(StackSettings(state_dir=tmp_path), StateDirectory(tmp_path), credentials)


def as_dict(element: ElementTree.Element | None) -> object:
    assert element is not None
    return {child.tag: as_dict(child) for child in element} or element.text


def local_command(program: Program) -> list[str]:
    """The command as compose writes it: without this machine's paths."""
    first, *rest = program.command
    return [re.sub(r"^python[\d.]*$", "python", Path(first).name), *rest]


def test_every_image_is_pinned_by_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    base_images = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert [image for image in images + base_images if not re.search(r":\d+\.\d+", image)] == []


def test_compose_runs_the_same_commands_as_the_local_stack(programs: Programs) -> None:
    webserver, daemon = (OURS[name]["command"] for name in ("dagster-webserver", "dagster-daemon"))

    assert OURS["api"]["command"] == local_command(programs.api())
    assert OURS["flusher"]["command"] == local_command(programs.flusher())
    assert f"exec {local_command(programs.dagster_webserver())[0]} " in webserver
    assert f"exec {' '.join(local_command(programs.dagster_daemon())[:2])} " in daemon
    assert " ".join(local_command(programs.dagster_preparation())) in daemon
    assert all(" ".join(programs.dagster_code().command[-2:]) in command for command in (webserver, daemon))


def test_compose_has_every_process_of_the_local_stack() -> None:
    engines = {"clickhouse", "valkey", "postgres"}

    assert SERVICES.keys() == engines | {"migrate", "api", "flusher", "dagster-webserver", "dagster-daemon"}


def test_every_variable_of_our_services_is_a_setting() -> None:
    passed = {name for service in OURS.values() for name in service["environment"]}

    assert passed - settings_names() == set()


def test_variables_that_compose_does_not_pass_are_its_own_business() -> None:
    """A setting that compose neither passes nor fixes would be a setting nobody can change there."""
    passed = {name for service in OURS.values() for name in service["environment"]}
    fixed_by_image = set(re.findall(r"\b([A-Z][A-Z_]+)=", (ROOT / "Dockerfile").read_text(encoding="utf-8")))

    assert settings_names() - passed - fixed_by_image == set()


def test_the_example_file_lists_exactly_what_compose_reads() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    example = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}

    assert example == mentioned_variables()


def test_defaults_in_compose_are_those_of_the_code() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    elsewhere = {"CLICKHOUSE_HOST"}  # the service's name instead of localhost
    defaults = {
        name.upper(): "" if field.default is None else str(field.default)
        for settings in (WarehouseSettings, ApiSettings, OrchestrationSettings)
        for name, field in settings.model_fields.items()
    }

    written = {name: value for name, value in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text) if name not in elsewhere}

    assert {name: value for name, value in written.items() if name in defaults and defaults[name] != value} == {}


def test_secrets_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")

    assert {name for name in SECRETS if f"${{{name}:?" not in text} == set()
    assert {name for name in SECRETS if f"${{{name}:-" in text} == set()


def test_bi_reader_has_the_limits_of_the_local_stack(tmp_path: Path) -> None:
    write_users_file(tmp_path / "users.xml", "owner", "reader")

    local, docker = (ElementTree.parse(path) for path in (tmp_path / "users.xml", ROOT / "docker/clickhouse_users.xml"))

    assert as_dict(docker.find("profiles")) == as_dict(local.find("profiles"))
    assert docker.find("users/bi_reader/profile").text == local.find("users/bi_reader/profile").text


def test_everything_is_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_data_lives_in_volumes() -> None:
    mounted = {
        name: service["volumes"][0].partition(":")[0] for name, service in SERVICES.items() if "volumes" in service
    }

    assert mounted == {
        "clickhouse": "clickhouse",
        "valkey": "valkey",
        "postgres": "postgres",
        "dagster-webserver": "dagster",
        "dagster-daemon": "dagster",
    }
    assert set(COMPOSE["volumes"]) == set(mounted.values())
