from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import Client, connect

SHORT = {"name": "buying", "window": "10 minutes", "steps": ["view", "buy"]}
LONG = {"name": "buying", "window": "2 hours", "steps": ["view", "buy"]}
OTHER = {"name": "reading", "window": "1 day", "steps": ["view", "read", "buy"]}
FUNNEL_MODELS = ("run", "--select", "+funnels")


@pytest.fixture
def dbt(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    return Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("funnels"), {"funnels": [SHORT]})


@pytest.fixture
def client(dbt: Dbt) -> Iterator[Client]:
    client = connect(dbt.settings)
    rows = [
        ["e1", "view", "ann", datetime(2026, 1, 31, 23, 30, tzinfo=UTC)],
        ["e2", "buy", "ann", datetime(2026, 2, 1, 0, 30, tzinfo=UTC)],
        ["e3", "view", "bob", datetime(2025, 3, 1, 10, tzinfo=UTC)],
    ]
    columns = ["event_id", "event_name", "user_id", "occurred_at", "received_at"]
    client.insert("events", [[*r, r[-1]] for r in rows], column_names=columns, database=dbt.settings.database("raw"))
    yield client
    client.close()


def funnels(dbt: Dbt, client: Client) -> dict[tuple[str, str], list[int]]:
    """Visitors by step, by funnel and entry day."""
    answer = client.query(
        "SELECT funnel_name, toString(entry_date), groupArray(visitor_count) FROM "
        f"(SELECT * FROM `{dbt.settings.database('marts')}`.funnels ORDER BY step_number) GROUP BY 1, 2"
    )
    return {(name, day): reached for name, day, reached in answer.result_rows}


def test_changed_declaration_applies_to_history_in_the_next_build(dbt: Dbt, client: Client) -> None:
    dbt(*FUNNEL_MODELS)
    assert funnels(dbt, client) == {("buying", "2025-03-01"): [1, 0], ("buying", "2026-01-31"): [1, 0]}

    replace(dbt, variables={"funnels": [LONG, OTHER]}, _parsed=None)(*FUNNEL_MODELS)

    assert funnels(dbt, client) == {
        ("buying", "2025-03-01"): [1, 0],
        ("buying", "2026-01-31"): [1, 1],
        ("reading", "2025-03-01"): [1, 0, 0],
        ("reading", "2026-01-31"): [1, 0, 0],
    }


def test_funnel_no_longer_declared_disappears_with_its_months(dbt: Dbt, client: Client) -> None:
    dbt(*FUNNEL_MODELS)

    bought_only = {"name": "buying", "window": "1 day", "steps": ["buy", "view"]}
    replace(dbt, variables={"funnels": [bought_only]}, _parsed=None)(*FUNNEL_MODELS)

    assert funnels(dbt, client) == {("buying", "2026-02-01"): [1, 0]}


@pytest.mark.parametrize("mistake", [{"window": "7 fortnights"}, {"window": "7"}, {"steps": ["view"]}])
def test_mistaken_declaration_is_named(dbt: Dbt, mistake: dict[str, object]) -> None:
    mistaken = replace(dbt, variables={"funnels": [SHORT | mistake]})

    with pytest.raises(AssertionError, match="buying"):
        mistaken("parse")
