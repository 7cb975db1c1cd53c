"""Codes of rejection, of warning, of a replay and of a definition: each is registered, used and documented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flags.problems import DEFINITION_CODES
from ingest_api.events.payload import REJECTION_CODES
from ingest_api.events.warnings import WARNING_CODES
from ingest_api.quarantine.replaying import REPLAY_CODES
from ingest_api.tracking_plan.checking import PLAN_CODES

ROOT = Path(__file__).resolve().parents[2]
REGISTRIES = {
    "REJECTION_CODES": REJECTION_CODES,
    "WARNING_CODES": WARNING_CODES,
    "REPLAY_CODES": REPLAY_CODES,
    "PLAN_CODES": PLAN_CODES,
    "DEFINITION_CODES": DEFINITION_CODES,
}
# What is made with a code, the place of it among the arguments, and its registry; a violation becomes either.
MADE_WITH_A_CODE = {
    # A replay answers with a rejection, too.
    "Rejection": (0, REJECTION_CODES.keys() | REPLAY_CODES.keys()),
    "Notice": (0, WARNING_CODES),
    "Violation": (0, PLAN_CODES),
    "Problem": (1, DEFINITION_CODES),
}


def _sources() -> list[ast.Module]:
    """The packages without their registries."""
    trees = []
    for path in (path for package in ("flags", "ingest_api") for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tree.body = [node for node in tree.body if not _is_registry(node)]
        trees.append(tree)
    return trees


def _is_registry(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in REGISTRIES for target in node.targets
    )


def _codes_used(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Pairs of what is made and the code it is made with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MADE_WITH_A_CODE:
            place, _ = MADE_WITH_A_CODE[node.func.id]
            given = [
                *node.args[place : place + 1],
                *(keyword.value for keyword in node.keywords if keyword.arg == "code"),
            ]
            yield from ((node.func.id, one.value) for one in given if isinstance(one, ast.Constant))


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_code_is_documented(registry: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    tables = re.findall(r"^\| \w+ \| meaning \|\n\|---\|---\|\n((?:\|.*\n)+)", readme, flags=re.MULTILINE)
    documented = [set(re.findall(r"^\| `([a-z_]+)` \|", table, flags=re.MULTILINE)) for table in tables]

    # In one table: codes of several registries have the same name and mean something else.
    assert [codes for codes in documented if codes >= REGISTRIES[registry].keys()]


def test_no_code_is_used_that_is_not_registered() -> None:
    used = {pair for tree in _sources() for pair in _codes_used(tree)}

    assert used
    assert {(made, code) for made, code in used if code not in MADE_WITH_A_CODE[made][1]} == set()


def test_no_registered_code_is_unused() -> None:
    texts = {
        node.value
        for tree in _sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert {code for registry in REGISTRIES.values() for code in registry} - texts == set()
