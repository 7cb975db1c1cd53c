"""sqlfluff over the SQL that dbt compiles: what runs, in both of its forms."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dbt.conftest import PROJECT, Dbt


@pytest.mark.parametrize("form", ["first build", "increment"])
def test_compiled_models_pass_the_linter(dbt: Dbt, tmp_path: Path, form: str) -> None:
    arguments = ["--full-refresh"] if form == "first build" else []
    dbt("compile", "--select", "resource_type:model", "resource_type:test", *arguments)
    for path in dbt.compiled().rglob("*.sql"):
        # Tests declared in YAML are compiled below a folder of that name: their SQL is generated.
        if not any(parent.suffix == ".yml" for parent in path.parents):
            shutil.copy(path, tmp_path)

    lint = subprocess.run(
        [sys.executable, "-m", "sqlfluff", "lint", "--config", PROJECT / ".sqlfluff", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert lint.returncode == 0, lint.stdout + lint.stderr
