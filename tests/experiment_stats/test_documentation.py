"""The page for product managers in step with the code: every column and every reason, and the other way round."""

import re
from dataclasses import fields
from pathlib import Path

from experiment_stats.estimates import Estimates
from experiment_stats.validity import FAILURES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "experiment-statistics.md").read_text(encoding="utf-8")


def first_cells() -> set[str]:
    """What stands in code in the first cell of a row of a table."""
    cells = re.findall(r"^\| (.*?) \|", PAGE, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_column_is_explained() -> None:
    columns = {field.name for field in fields(Estimates)}

    assert columns - first_cells() == set()


def test_every_reason_is_explained_and_every_explained_reason_exists() -> None:
    table = PAGE.split("| `status` or failure |")[1].split("\n\n")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == FAILURES.keys()
