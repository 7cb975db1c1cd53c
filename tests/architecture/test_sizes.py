"""Files stay small enough to read in one go, and the tree keeps clear of known traps."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).exists()]


def longer_than(limit: int, files: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in files if len(path.read_text(encoding="utf-8").splitlines()) > limit]


def test_python_files_have_at_most_400_lines() -> None:
    files = tracked("*.py")

    assert files
    assert longer_than(400, files) == []


def test_dbt_models_have_at_most_150_lines() -> None:
    files = tracked("dbt/models/**.sql")

    assert files
    assert longer_than(150, files) == []


def test_there_is_no_python_inside_the_dbt_project() -> None:
    """A `dbt/__init__.py` would shadow the dbt package itself."""
    assert tracked("dbt/*.py", "dbt/**/*.py") == []


def test_tests_are_not_packages() -> None:
    assert tracked("tests/**/__init__.py", "tests/__init__.py") == []


def test_there_are_no_drawers() -> None:
    drawers = {"common", "utils", "helpers", "lib", "core", "base", "misc"}

    assert [str(path.relative_to(ROOT)) for path in tracked("*.py") if path.stem in drawers] == []
