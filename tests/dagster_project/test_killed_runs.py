"""Runs that die and the run that takes up their work; `python -m benchmarks.kills` is the long form."""

from pathlib import Path

import pytest

from benchmarks.harness.killed_runs import Pipeline, trial
from warehouse.client import Client
from warehouse.config import WarehouseSettings


@pytest.mark.timeout(1200)
def test_marts_equal_a_rebuild_after_a_run_was_killed_at_a_random_moment(
    warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path
) -> None:
    outcome = trial(warehouse, Pipeline(warehouse_settings, tmp_path), kills=1, events=400, seed=7)

    assert outcome.different == []
    assert outcome.tables > 0
    assert len(outcome.tables_done) == 1
