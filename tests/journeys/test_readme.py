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
SECTIONS = re.split(r"^##+ ", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
BLOCKS = [re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL) for section in SECTIONS]
# `make` is what a fresh clone is tried with; the exports stand for what the stack printed.
RUNNABLE = {
    section.split("\n")[0]: "".join(block for block in blocks if not block.startswith(("make", "export")))
    for section, blocks in zip(SECTIONS, BLOCKS, strict=True)
}


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


@pytest.mark.parametrize("section", [section for section, examples in RUNNABLE.items() if examples])
def test_examples_run(section: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Those of one section after each other: a later one may need what an earlier one has made."""
    example = RUNNABLE[section].replace("/tmp/", f"{tmp_path}/")

    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example], env=environment, cwd=tmp_path, capture_output=True, text=True
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_block_of_the_readme_is_tried() -> None:
    blocks = [block for of_section in BLOCKS for block in of_section]
    assert sum(block in "".join(RUNNABLE.values()) for block in blocks) == len(blocks) - 3
    assert os.access(ROOT / "Makefile", os.R_OK)


def test_every_route_has_an_example_and_every_example_a_route(environment: dict[str, str]) -> None:
    document = httpx.get(f"{environment['URL']}/openapi.json").json()

    addresses = re.findall(r'curl (?:.|\\\n)*?"\$URL(/[^"]*)"', "".join(RUNNABLE.values()))
    routes = set(document["paths"])
    examples = {_route_of(path.partition("?")[0], routes) for path in addresses}

    assert examples - {"/docs", "/openapi.json"} == routes


def _route_of(path: str, routes: set[str]) -> str:
    """The route that has this address; itself where none has."""
    patterns = {route: re.sub(r"\{\w+\}", "[^/]+", route) for route in routes}
    found = [route for route, pattern in patterns.items() if re.fullmatch(pattern, path)]
    return path if path in found or not found else found[0]


def test_the_api_documentation_is_served(environment: dict[str, str]) -> None:
    page = httpx.get(f"{environment['URL']}/docs")

    assert page.status_code == 200
    assert "http://" not in page.text.replace(environment["URL"], "")
    assert "https://" not in page.text
