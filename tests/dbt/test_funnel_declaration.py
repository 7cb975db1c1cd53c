import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import PROJECT, Dbt
from tests.ingest_api.serving import nowhere
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


MISTAKES: dict[str, tuple[dict[str, object], str]] = {
    "unit": ({"window": "7 fortnights"}, "the window '7 fortnights'"),
    "no unit": ({"window": "7"}, "the window '7'"),
    "no time": ({"window": "0 days"}, "the window '0 days'"),
    "one step": ({"steps": ["view"]}, "needs 2 to 16 steps"),
    "one name": ({"steps": "view"}, "needs 2 to 16 steps"),
    "word": ({"breakdown": []}, "has 'breakdown', which is none of name, window, order, steps, breakdowns"),
    "order": ({"order": "sorted"}, "the order 'sorted', which is none of ordered, strict, any"),
    "event": ({"steps": ["view", {"where": []}]}, "step 2 needs the name of an event"),
    "events": ({"steps": ["view", ["buy", 7]]}, "step 2 needs the name of an event"),
    "key": (
        {"steps": ["view", {"event": "buy", "when": []}]},
        "step 2 has 'when', which is none of name, event, where",
    ),
    "operator": (
        {"steps": ["view", {"event": "buy", "where": {"property": "plan", "operator": "like", "value": "x"}}]},
        "step 2 has the operator 'like'",
    ),
    "value": (
        {"steps": ["view", {"event": "buy", "where": {"property": "price", "operator": "gt", "value": "10"}}]},
        "step 2: 'gt' takes a number",
    ),
    "list": (
        {"steps": ["view", {"event": "buy", "where": {"property": "plan", "operator": "in", "value": "pro"}}]},
        "step 2: 'in' takes a list of values",
    ),
    "attribute": (
        {"steps": ["view", {"event": "buy", "where": {"session": "channel", "value": "Email"}}]},
        "step 2 needs exactly one of property, column",
    ),
    "column": ({"breakdowns": [{"column": "city"}]}, "breakdown 1 has the column 'city', which is none of source"),
    "twice": ({"breakdowns": [{"column": "country"}, {"session": "country"}]}, "broken down by 'country' twice"),
}


@pytest.fixture
def declaring(tmp_path: Path) -> Dbt:
    """A project that only reads declarations: parsing all models for each mistake would take a minute."""
    (tmp_path / "macros").mkdir()
    (tmp_path / "models").mkdir()
    for name in ("profiles.yml", "macros/funnel_definitions.sql"):
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / "dbt_project.yml").write_text("{name: declaring, profile: analytics}")
    (tmp_path / "models" / "funnels.sql").write_text("select {{ funnel_definitions() | length }}")
    return Dbt(nowhere(), tmp_path, project=tmp_path)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistaken_declaration_is_named(declaring: Dbt, mistake: str) -> None:
    changes, complaint = MISTAKES[mistake]
    declaring.variables = {"funnels": [SHORT | changes]}

    with pytest.raises(AssertionError, match=re.escape(complaint)) as refusal:
        declaring("parse")

    assert "'buying'" in str(refusal.value)


@pytest.mark.parametrize(
    ("funnels", "complaint"),
    [([], "declare at least one"), ([SHORT, SHORT], "declared twice"), ([{"steps": ["a", "b"]}], "needs a name")],
)
def test_mistaken_list_of_funnels_is_refused(declaring: Dbt, funnels: list[object], complaint: str) -> None:
    declaring.variables = {"funnels": funnels}

    with pytest.raises(AssertionError, match=complaint):
        declaring("parse")


def test_declaration_in_the_readme_is_a_valid_one(dbt: Dbt) -> None:
    readme = (PROJECT.parent / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```yaml\n(funnels:.*?)^```", readme, re.MULTILINE | re.DOTALL)

    declared = replace(dbt, variables=yaml.safe_load(example))
    declared("seed")
    declared(*FUNNEL_MODELS, "+funnels_by_dimension")
