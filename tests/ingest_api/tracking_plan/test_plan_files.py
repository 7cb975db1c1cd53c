"""What a plan may say, and what is said about one that may not."""

from pathlib import Path

import pytest

from ingest_api.tracking_plan.plan import PlanInvalid, load_plan
from tests.ingest_api.tracking_plan.plans_given import plan_of

EVENT = "  - {name: visit, description: Somebody came., owner: o"
PROPERTY_SLIPS = {
    "type: text": "type: Input should be 'string', 'number'",
    "type: string, required: 'yes'": "required: is true or false",
    "type: string, description: ''": "description: ",
    "type: string, pattern: '['": "pattern: is no regular expression: ",
    "type: integer, pattern: x": "pattern: only a string without enum has one",
    "type: string, enum: [x], pattern: x": "pattern: only a string without enum has one",
    "type: boolean, enum: [x]": "enum: only a string or an integer has one",
    "type: string, enum: [1]": "enum: every value is of the type string; put quotes around text",
    "type: integer, enum: ['1']": "enum: every value is of the type integer",
    "type: string, enum: [x, x]": "enum: has at least one value, and each once",
    "type: string, enum: []": "enum: has at least one value, and each once",
    "type: string, minimum: 1": "minimum: only a number, a decimal or an integer without enum has one",
    "type: integer, minimum: 1.5": "minimum: the bound of an integer is a whole number of at most 64 bits",
    "type: number, minimum: 2, maximum: 1": "maximum: is less than minimum",
    "type: number, minimum: .nan": "minimum: is finite; leave it out where there is no bound",
    "type: string, name: '{{ a }}'": "name: has no braces",
}
EVENT_SLIPS = {
    "  - {name: visit, owner: o}": "events[0].description: is missing",
    f"{EVENT}, colour: red}}": "events[0].colour: is not known here",
    f"{EVENT}, mode: strict}}": "events[0].mode: Input should be 'off', 'warn' or 'enforce'",
    f"{EVENT}, properties: x}}": "events[0].properties: is a list",
    f"{EVENT}}}\n{EVENT}}}": "events[1].name: visit is declared in events.yml already",
    f"{EVENT}}}\n  - {{name: Visit, description: d, owner: o}}": (
        "events[1].name: Visit would have the same model (stg_events__visit) as visit"
    ),
    f"{EVENT}, properties: [{{name: a, description: d, type: string}}, {{name: a, description: d, type: string}}]}}": (
        "events[0].properties[1].name: a is declared already"
    ),
    f"{EVENT}, properties: [{{name: a, description: d, type: string}}, {{name: A, description: d, type: string}}]}}": (
        "events[0].properties[1].name: A would have the same column (a) as a"
    ),
    "  - {name: ' visit', description: d, owner: o}": "events[0].name: has no space around it",
    "  - {name: '{{ visit }}', description: d, owner: o}": "events[0].name: has no braces",
    "  - {name: visit, description: '{{ var() }}', owner: o}": "events[0].description: has no braces",
    "  - {name: visit, name: visit}": "is no YAML: name is there twice",
    "  - {name: visit": "is no YAML: ",
}


@pytest.mark.parametrize(("events", "problem"), EVENT_SLIPS.items(), ids=EVENT_SLIPS.values())
def test_plan_names_file_and_path_of_a_slip(tmp_path: Path, events: str, problem: str) -> None:
    with pytest.raises(PlanInvalid) as refusal:
        plan_of(tmp_path, events)

    assert refusal.value.problems[0].startswith(f"events.yml: {problem}")


@pytest.mark.parametrize(("declaration", "problem"), PROPERTY_SLIPS.items(), ids=PROPERTY_SLIPS)
def test_plan_names_the_path_of_a_slip_in_a_property(tmp_path: Path, declaration: str, problem: str) -> None:
    rest = "".join(f", {name}: {name}" for name in ("name", "description") if f"{name}:" not in declaration)

    with pytest.raises(PlanInvalid) as refusal:
        plan_of(tmp_path, f"{EVENT}, properties: [{{{declaration}{rest}}}]}}")

    assert refusal.value.problems[0].startswith(f"events.yml: events[0].properties[0].{problem}")


def test_plan_names_every_slip_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("version: 2\nunknown_events: warn\n")
    (tmp_path / "b.yml").write_text("- a list\n")
    (tmp_path / "c.yaml").write_text("version: 1\nunknown_events: enforce\n")

    with pytest.raises(PlanInvalid) as refusal:
        load_plan(tmp_path)

    assert refusal.value.problems == [
        "a.yml: version: Input should be 1",
        "b.yml: is a mapping that begins with `version: 1`",
        "c.yaml: unknown_events: belongs to plan.yml",
    ]
    assert str(refusal.value) == "a.yml: version: Input should be 1 (and 2 more; `analytics plan check` shows all)"


def test_plan_is_refused_when_its_directory_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PlanInvalid, match="nowhere: is no directory; name that of the tracking plan"):
        load_plan(tmp_path / "nowhere")


def test_words_of_old_yaml_are_text(tmp_path: Path) -> None:
    values = "[no, on, 2026-01-31]"

    plan = plan_of(
        tmp_path, f"{EVENT}, mode: off, properties: [{{name: a, description: d, type: string, enum: {values}}}]}}"
    )

    event = plan.events["visit"]
    assert (event.mode, event.properties[0].enum) == ("off", ("no", "on", "2026-01-31"))


def test_event_warns_and_takes_unknown_properties_by_default(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"{EVENT}}}")

    event = plan.events["visit"]
    assert (event.mode, event.unknown_properties, plan.unknown_events) == ("warn", "allow", "off")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("utmSource", "utm_source"),
        ("HTTPStatus", "http_status"),
        ("page-title", "page_title"),
        ("$browser", "browser"),
        ("Größe", "grosse"),
        ("3d", "property_3d"),
        ("source", "property_source"),
        ("properties", "property_properties"),
        ("order", "property_order"),
        ("名前", "name_ef1facb0"),
        ("x" * 100, f"{'x' * 80}_5e0e5d8f"),
    ],
)
def test_column_of_a_property_is_a_plain_name(tmp_path: Path, name: str, column: str) -> None:
    properties = f"[{{name: '{name}', description: d, type: string}}]"

    plan = plan_of(tmp_path, f"{EVENT}, properties: {properties}}}")

    assert plan.events["visit"].properties[0].column == column
