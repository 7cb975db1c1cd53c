"""Typed staging models out of the tracking plan: in step with it, and right about every type."""

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from command_line.plan_models import MODELS_DIRECTORY, differences, write_files
from ingest_api.tracking_plan.plan import load_plan
from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import PROJECT, Dbt
from warehouse.client import connect

EVERY_TYPE = """
version: 1
events:
  - name: Every Type
    description: An event with a property of each type.
    owner: tests@example.com
    properties:
      - {name: "customer's word", type: string, description: Text.}
      - {name: ratio, type: number, description: A number.}
      - {name: item-count, type: integer, description: A whole number.}
      - {name: amount, type: decimal, description: An amount.}
      - {name: isMember, type: boolean, description: A flag.}
      - {name: paid at, type: timestamp, description: A moment.}
      - {name: basket, type: object, description: An object.}
      - {name: tags, type: array, description: A list.}
      - {name: source, type: string, description: A name that an event has itself.}
      - {name: order, type: string, description: A word of SQL.}
      - {name: known, type: string, description: A word that a model might use.}
      - {name: größe, type: decimal, description: A name that is not English.}
"""
COLUMNS = [
    "customer_s_word", "ratio", "item_count", "amount", "is_member", "paid_at", "basket", "tags", "property_source",
    "property_order", "known", "grosse",
]  # fmt: skip
GOOD = """{
    "customer's word": "it's", "ratio": 0.1, "item-count": 9007199254740993, "amount": 12345678901234567.1234,
    "isMember": true, "paid at": "2026-01-31T08:30:00.5+02:00", "basket": {"a": [1]}, "tags": ["x", 2],
    "source": "s", "order": "o", "known": "k", "größe": "49.90"
}"""
QUOTED = """{
    "customer's word": 7, "ratio": "0.1", "item-count": "3", "amount": "-5", "isMember": "false",
    "paid at": 1769848200500, "größe": 5e1
}"""
WRONG = """{
    "ratio": "nan", "item-count": 1.5, "amount": "12.3.4", "isMember": 1, "paid at": 1769848200, "größe": true
}"""
NULL = """{
    "ratio": null, "item-count": null, "amount": null, "isMember": null, "paid at": null, "tags": null, "größe": null
}"""
MORNING, NOON = datetime(2026, 1, 31, 6, 30, 0, 500_000, UTC), datetime(2026, 1, 31, 8, 30, 0, 500_000, UTC)
AMOUNT = Decimal("12345678901234567.1234")
NOTHING = ("", None, None, None, None, None, "", "", "", "", "", None)
EXPECTED = {
    GOOD: (
        "it's",
        0.1,
        9007199254740993,
        AMOUNT,
        True,
        MORNING,
        '{"a":[1]}',
        '["x",2]',
        "s",
        "o",
        "k",
        Decimal("49.9"),
    ),
    QUOTED: ("7", 0.1, 3, Decimal(-5), False, NOON, "", "", "", "", "", Decimal(50)),
    WRONG: NOTHING,
    NULL: NOTHING,
    "{}": NOTHING,
    "no JSON": NOTHING,
}


def test_generated_models_are_in_step_with_the_plan() -> None:
    plan = load_plan(PROJECT / "tracking_plan")

    assert differences(plan, PROJECT / MODELS_DIRECTORY) == [], "run `analytics plan models`"


def test_description_in_the_plan_is_that_of_the_column(dbt: Dbt) -> None:
    plan = load_plan(PROJECT / "tracking_plan")
    nodes = dbt.manifest()["nodes"]

    for event in plan.events.values():
        columns = nodes[f"model.analytics.{event.model}"]["columns"]
        for one in event.properties:
            assert columns[one.column]["description"] == one.description
            assert columns[one.column]["meta"].get("pii", False) is one.pii


@pytest.fixture
def typed(gateway: Gateway, tmp_path: Path) -> Dbt:
    """A project with an own plan; its model is not built yet."""
    project = tmp_path / "dbt"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs", "tracking_plan"))
    (project / "tracking_plan").mkdir()
    (project / "tracking_plan" / "types.yml").write_text(EVERY_TYPE, encoding="utf-8")
    write_files(load_plan(project / "tracking_plan"), project / MODELS_DIRECTORY)
    return Dbt(fresh_settings(gateway), tmp_path, project=project)


def test_values_come_out_in_the_types_of_the_plan(typed: Dbt) -> None:
    client = connect(typed.settings)
    now = datetime(2026, 2, 1, tzinfo=UTC)
    rows: list[list[Any]] = [[text, "Every Type", "ann", now, now, text, "{}"] for text in EXPECTED]
    rows.append(["other", "every_type", "ann", now, now, "{}", "{}"])
    columns = ["event_id", "event_name", "user_id", "occurred_at", "received_at", "properties", "context"]
    client.insert("events", rows, column_names=columns, database=typed.settings.database("raw"))

    typed("run", "--select", "+stg_events__every_type")

    view = f"`{typed.settings.database('staging')}`.stg_events__every_type"
    selected = client.query(f"SELECT event_id, {', '.join(COLUMNS)} FROM {view}").result_rows
    client.close()
    assert {event_id: tuple(values) for event_id, *values in selected} == EXPECTED
