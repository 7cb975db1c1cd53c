"""sqlfluff over the SQL that dbt compiles, in both of its forms. `make lint` runs it, `make test` does not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dbt.conftest import PROJECT, Dbt


def compiled(dbt: Dbt, *arguments: str) -> Iterator[tuple[str, str]]:
    """Name and SQL of each model and singular test."""
    dbt("compile", "--select", "resource_type:model", "resource_type:test", *arguments)
    for path in dbt.compiled().rglob("*.sql"):
        # Tests declared in YAML are compiled below a folder of that name: their SQL is generated.
        if not any(parent.suffix == ".yml" for parent in path.parents):
            yield path.stem, path.read_text()


@pytest.mark.style
def test_compiled_models_pass_the_linter(dbt: Dbt, tmp_path: Path) -> None:
    first_builds = dict(compiled(dbt, "--full-refresh"))
    increments = {name: sql for name, sql in compiled(dbt) if sql != first_builds[name]}
    for form, statements in (("first_build", first_builds), ("increment", increments)):
        (tmp_path / form).mkdir()
        for name, sql in statements.items():
            (tmp_path / form / f"{name}.sql").write_text(sql)

    # 0: one process for each processor.
    lint = subprocess.run(
        [sys.executable, "-m", "sqlfluff", "lint", "--processes", "0", "--config", PROJECT / ".sqlfluff", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert increments
    assert lint.returncode == 0, lint.stdout + lint.stderr
