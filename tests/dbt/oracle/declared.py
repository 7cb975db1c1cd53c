"""What the dbt project declares: its variables and seeds. They are settings, so the oracle reads the same."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.dbt.conftest import PROJECT


def _seed(name: str) -> list[dict[str, str]]:
    with (PROJECT / "seeds" / f"{name}.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _variables() -> dict[str, Any]:
    variables: dict[str, Any] = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    return variables


@dataclass(frozen=True, eq=False)
class Declared:
    """Variables and seeds of the project."""

    variables: Mapping[str, Any] = field(default_factory=_variables)
    channel_rules: list[dict[str, str]] = field(default_factory=lambda: _seed("channel_rules"))
    traffic_sources: list[dict[str, str]] = field(default_factory=lambda: _seed("traffic_sources"))
    currency_rates: list[dict[str, str]] = field(default_factory=lambda: _seed("currency_rates"))
