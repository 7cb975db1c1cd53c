"""`analytics plan`, against real raw events and real files."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from command_line.__main__ import app
from command_line.plan_models import MODELS_DIRECTORY
from ingest_api.tracking_plan.declarations import PropertyPlan
from ingest_api.tracking_plan.plan import load_plan
from local_stack.demo_data import shop_day
from tests.ingest_api.serving import nowhere
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import FRESHNESS_PROBE

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def run(*arguments: str | Path, settings: WarehouseSettings | None = None) -> Result:
    environment: dict[str, str] = {}
    if settings is not None:
        environment = {
            "CLICKHOUSE_HOST": settings.clickhouse_host,
            "CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
            "CLICKHOUSE_DATABASE": settings.clickhouse_database,
        }
    return CliRunner().invoke(app, ["plan", *map(str, arguments)], env=environment)


def store(client: Client, settings: WarehouseSettings, name: str, events: list[Mapping[str, Any]]) -> None:
    rows = [[f"{name}-{n}", name, "ann", NOW, NOW, json.dumps(one)] for n, one in enumerate(events)]
    columns = ["event_id", "event_name", "user_id", "occurred_at", "received_at", "properties"]
    client.insert("events", rows, column_names=columns, database=settings.database("raw"))


def inferred(text: str, directory: Path) -> dict[str, dict[str, PropertyPlan]]:
    """What a draft declares, read as any file of the plan."""
    directory.mkdir(exist_ok=True)
    (directory / "draft.yml").write_text(text, encoding="utf-8")
    plan = load_plan(directory)
    return {name: {one.name: one for one in event.properties} for name, event in plan.events.items()}


@pytest.fixture
def project(tmp_path: Path, project_root: Path) -> Path:
    """A copy of the plan, and of the models made of it."""
    for part in (Path("tracking_plan"), MODELS_DIRECTORY):
        shutil.copytree(project_root / "dbt" / part, tmp_path / part)
    return tmp_path


def test_draft_tells_types_apart(warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path) -> None:
    events = [
        {
            "quantity": n, "ratio": n / 7, "revenue": n, "price": f"{n}.50", "mixed": n if n % 2 else f"{n}.5",
            "is_gift": n % 2 == 0, "at": "2026-01-31T08:30:00Z", "basket": {"n": n}, "tags": [n], "sku": f"00{n}",
            "rare": None if n else "once",
        }
        for n in range(150)
    ]  # fmt: skip
    store(warehouse, warehouse_settings, "order", events)

    result = run("infer", settings=warehouse_settings)

    properties = inferred(result.stdout, tmp_path / "plan")["order"]
    assert {name: one.type for name, one in properties.items()} == {
        "quantity": "integer", "ratio": "number", "revenue": "decimal", "price": "decimal", "mixed": "decimal",
        "is_gift": "boolean", "at": "timestamp", "basket": "object", "tags": "array", "sku": "string", "rare": "string",
    }  # fmt: skip
    assert [name for name, one in properties.items() if not one.required] == ["rare"]


def test_draft_has_an_enum_only_of_few_values_that_are_believable(
    warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path
) -> None:
    events = [{"size": "SML"[n % 3], "many": f"value-{n}", "email": "me"} for n in range(100)]
    store(warehouse, warehouse_settings, "enough", events)
    store(warehouse, warehouse_settings, "too_few", events[:99])

    result = run("infer", settings=warehouse_settings)

    drafted = inferred(result.stdout, tmp_path / "plan")
    assert {name: one.enum for name, one in drafted["enough"].items()} == {
        "size": ("L", "M", "S"),
        "many": None,
        "email": None,
    }
    assert {one.enum for one in drafted["too_few"].values()} == {None}


def test_draft_never_holds_values_of_properties_that_have_many_or_tell_who_someone_is(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    events = [{"token": f"secret-{n % 13}", "contact": "secret@example.com", "phone": "secret"} for n in range(500)]
    store(warehouse, warehouse_settings, "signup", events)

    result = run("infer", settings=warehouse_settings)

    assert "token" in result.stdout
    assert "secret" not in result.stdout


def test_draft_marks_people_by_name_and_by_value(
    warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path
) -> None:
    events = [{"userEmail": "x", "first_name": "x", "contact": "a@b.example", "campaignName": "x", "ip": "1.2.3.4"}]
    store(warehouse, warehouse_settings, "signup", events)

    result = run("infer", settings=warehouse_settings)

    properties = inferred(result.stdout, tmp_path / "plan")["signup"]
    assert {name for name, one in properties.items() if one.pii} == {"userEmail", "first_name", "contact", "ip"}


def test_draft_says_the_share_of_odd_values(warehouse: Client, warehouse_settings: WarehouseSettings) -> None:
    store(warehouse, warehouse_settings, "search", [{"query": "boots"}] * 3 + [{"query": {"a": 1}}] + [{}] * 4)

    result = run("infer", settings=warehouse_settings)

    assert "# 25 % of its values are of another type." in result.stdout
    assert 'description: "In 50 % of the events."' in result.stdout


def test_draft_leaves_out_aloud_what_a_plan_cannot_hold(
    warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path
) -> None:
    store(warehouse, warehouse_settings, "cart", [{"productId": 1, "product_id": 1, "{{x}}": 1}, {"productId": 1}])
    store(warehouse, warehouse_settings, "Cart", [{}])

    result = run("infer", settings=warehouse_settings)

    assert inferred(result.stdout, tmp_path / "plan")["cart"].keys() == {"productId"}
    assert '# Left out: "product_id" would have the same column as "productId".' in result.stdout
    assert '# Left out: "{{x}}" cannot be a name in the plan.' in result.stdout
    assert '# Left out: "Cart" would have the same model as "cart".' in result.stdout


def test_draft_keeps_to_the_named_events_and_days(
    warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path
) -> None:
    for name in ("one", "two", FRESHNESS_PROBE):
        store(warehouse, warehouse_settings, name, [{}])
    arrived = warehouse.query(f"SELECT toDate(min(inserted_at)) FROM {warehouse_settings.database('raw')}.events")
    today = arrived.result_rows[0][0].isoformat()

    every = run("infer", "--from", today, settings=warehouse_settings)
    named = run("infer", "--event", "two", settings=warehouse_settings)
    earlier = run("infer", "--to", "2020-01-01", settings=warehouse_settings)

    assert inferred(every.stdout, tmp_path / "every").keys() == {"one", "two"}
    assert inferred(named.stdout, tmp_path / "named").keys() == {"two"}
    assert inferred(earlier.stdout, tmp_path / "earlier") == {}


def test_events_are_as_planned_in_the_draft_that_was_made_of_them(
    warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path
) -> None:
    events = [event for day in (1, 2, 3) for event in shop_day(date(2026, 1, day), 3000)]
    for name in {event.event_name for event in events}:
        store(warehouse, warehouse_settings, name, [one.properties for one in events if one.event_name == name])

    run("infer", "--output", tmp_path / "shop.yml", settings=warehouse_settings)

    plan = load_plan(tmp_path)
    assert plan.events.keys() == {event.event_name for event in events}
    assert {one for event in events for one in plan.check(event.event_name, json.dumps(event.properties))} == set()
    enums = {one.name: one.enum for one in plan.events["page_view"].properties}
    assert enums["utmMedium"] == ("cpc", "email", "none", "organic", "referral", "social")
    assert enums["page"] is None


def test_draft_is_written_to_a_new_file_only(
    warehouse: Client, warehouse_settings: WarehouseSettings, tmp_path: Path
) -> None:
    store(warehouse, warehouse_settings, "one", [{}])
    file = tmp_path / "one.yml"

    first = run("infer", "--output", file, settings=warehouse_settings)
    second = run("infer", "--output", file, settings=warehouse_settings)

    assert (first.exit_code, second.exit_code) == (0, 2)
    assert load_plan(tmp_path).events.keys() == {"one"}


def test_infer_says_in_one_sentence_that_the_warehouse_is_away() -> None:
    result = run("infer", settings=nowhere())

    assert result.exit_code == 2
    assert result.stderr.startswith("analytics plan: ")
    assert "Traceback" not in result.stderr


def test_check_names_every_slip_with_file_and_path(project: Path) -> None:
    (project / "tracking_plan" / "other.yml").write_text(
        "version: 1\nevents:\n"
        "  - {name: x, owner: o, description: d, mode: strict, properties: [{name: a, type: text}]}\n"
    )

    result = run("check", "--plan", project / "tracking_plan")

    assert result.exit_code == 1
    assert "analytics plan: other.yml: events[0].mode: " in result.stderr
    assert "analytics plan: other.yml: events[0].properties[0].type: " in result.stderr
    assert "analytics plan: other.yml: events[0].properties[0].description: is missing" in result.stderr


def test_check_tells_models_that_are_not_in_step(project: Path) -> None:
    models, plan = project / MODELS_DIRECTORY, project / "tracking_plan"
    assert run("check", "--generated", "--plan", plan).exit_code == 0
    (models / "stg_events__purchase.sql").write_text("select 1")
    (models / "stg_events__search.yml").unlink()
    shutil.copy(models / "stg_events__refund.sql", models / "stg_events__gone.sql")

    result = run("check", "--generated", "--plan", plan)

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "stg_events__gone.sql is of an event that is not in the plan",
        "stg_events__purchase.sql differs",
        "stg_events__search.yml is missing",
        "analytics plan: the models are not in step; run `analytics plan models`",
    ]


def test_models_are_brought_in_step_and_files_of_others_left_alone(project: Path) -> None:
    models, plan = project / MODELS_DIRECTORY, project / "tracking_plan"
    (models / "stg_own.sql").write_text("select 1")
    (plan / "identity.yml").unlink()
    (plan / "shop.yml").write_text(
        "version: 1\nevents:\n  - {name: visit, owner: o@example.com, description: Somebody came.}\n"
    )

    result = run("models", "--plan", plan)

    assert result.exit_code == 0
    assert {path.name for path in models.iterdir()} == {
        "stg_events__visit.sql",
        "stg_events__visit.yml",
        "stg_own.sql",
    }
    assert run("check", "--generated", "--plan", plan).exit_code == 0
