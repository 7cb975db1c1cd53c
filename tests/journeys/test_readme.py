"""README's examples, run as a reader would: one after the other, in bash, against a running service."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local_stack.startup import ingest_stack

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
# `make` is what a fresh clone is tried with; the exports stand for what the stack printed.
RUNNABLE = [block for block in BLOCKS if not block.startswith(("make", "export"))]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    directory = tmp_path_factory.mktemp("stack")
    with ingest_stack(directory) as running:
        programs, access = running.programs, running.access
        build = ["dbt", "build", "--quiet", "--project-dir", str(ROOT / "dbt"), "--profiles-dir", str(ROOT / "dbt")]
        subprocess.run(build, env=programs.environment, check=True, cwd=directory)
        yield {
            **programs.environment,
            "URL": access.api_url,
            "TOKEN": access.token,
            "WRITE_KEY": access.write_key,
            "CLICKHOUSE_URL": f"http://127.0.0.1:{programs.settings.clickhouse_port}",
            "BI_READER_PASSWORD": programs.credentials.bi_reader_password,
        }


@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: block.split("\n")[0][:60])
def test_example_runs(block: str, environment: dict[str, str], tmp_path: Path) -> None:
    example = block.replace("/tmp/", f"{tmp_path}/")

    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example], env=environment, cwd=tmp_path, capture_output=True, text=True
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_block_of_the_readme_is_tried() -> None:
    assert len(RUNNABLE) == len(BLOCKS) - 3
    assert os.access(ROOT / "Makefile", os.R_OK)


def test_every_route_has_an_example_and_every_example_a_route(environment: dict[str, str]) -> None:
    document = httpx.get(f"{environment['URL']}/openapi.json").json()

    addresses = [path for block in RUNNABLE for path in re.findall(r'curl (?:.|\\\n)*?"\$URL(/[^"]*)"', block)]
    examples = {path.partition("?")[0].replace("$REJECTION_ID", "{rejectionId}") for path in addresses}

    assert examples - {"/docs", "/openapi.json"} == set(document["paths"])


def test_the_api_documentation_is_served(environment: dict[str, str]) -> None:
    page = httpx.get(f"{environment['URL']}/docs")

    assert page.status_code == 200
    assert "http://" not in page.text.replace(environment["URL"], "")
    assert "https://" not in page.text
