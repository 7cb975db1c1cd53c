"""README in step with the code: every setting, command and path that it names exists, and the other way round."""

import re
from pathlib import Path

import typer.main
from typer.core import TyperGroup

from command_line.__main__ import app as analytics
from dagster_project.config import OrchestrationSettings
from ingest_api.config import ApiSettings
from local_stack.config import StackSettings
from warehouse.config import WarehouseSettings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# Read by dbt's profile and by options of commands, so no settings class lists them.
OTHER_SETTINGS = {"ANALYTICS_SAFETY_LAG_SECONDS", "ANALYTICS_TOKEN", "ANALYTICS_WRITE_KEY"}


def documented_settings() -> set[str]:
    return set(re.findall(r"^\| `([A-Z][A-Z_]+)` \|", README, flags=re.MULTILINE))


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    classes = (WarehouseSettings, ApiSettings, OrchestrationSettings)

    names = {field.upper() for settings in classes for field in settings.model_fields} | OTHER_SETTINGS

    assert documented_settings() == names


def test_every_setting_of_the_local_stack_is_documented() -> None:
    documented = set(re.findall(r"`(LOCAL_STACK_[A-Z_]+)`", README))

    assert documented == {
        f"LOCAL_STACK_{name.upper()}"
        for name, field in StackSettings.model_fields.items()
        if not field.validation_alias
    }


def test_documented_defaults_are_the_defaults() -> None:
    rows = dict(re.findall(r"^\| `([A-Z][A-Z_]+)` \| `([^`]+)` \|", README, flags=re.MULTILINE))
    defaults = {
        name.upper(): str(field.default)
        for settings in (WarehouseSettings, ApiSettings, OrchestrationSettings)
        for name, field in settings.model_fields.items()
    }

    assert {name: value for name, value in rows.items() if name in defaults and defaults[name] != value} == {}


def test_every_make_target_is_documented_and_exists() -> None:
    targets = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)[1].split())

    documented = set(re.findall(r"(?:^|`)make ([a-z]+)\b", README, flags=re.MULTILINE))

    assert documented == targets


def test_every_analytics_command_is_documented_and_exists() -> None:
    group = typer.main.get_command(analytics)
    assert isinstance(group, TyperGroup)

    documented = set(re.findall(r"(?:^|`)analytics ([a-z]+)\b", README, flags=re.MULTILINE))

    assert set(group.commands) == documented


def test_every_path_in_the_table_of_places_exists() -> None:
    table = README.split("## Where things are")[1].split("\n## ")[0]
    paths = re.findall(r"`([a-z_]+/[\w./]*)`", table)

    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_page_that_is_linked_exists() -> None:
    pages = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert pages
    assert [page for page in pages if not (ROOT / page).is_file()] == []
