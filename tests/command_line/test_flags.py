"""`analytics flags`, against a running API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from command_line import flags
from ingest_api.auth.roles import Role
from ingest_api.strict_yaml import read_yaml
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.flags.documents_given import flag_documents
from tests.ingest_api.flags.definitions_given import created, created_segment, for_segment
from tests.ingest_api.serving import api_settings, bearer, serving, token_for


@pytest.fixture
def client(gateway: Gateway, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """An API without definitions, and an editor's token in the environment."""
    settings = api_settings(valkey.url)
    token = token_for(settings, Role.EDITOR)
    monkeypatch.setenv("ANALYTICS_TOKEN", token)
    with serving(settings, fresh_settings(gateway)) as client:
        client.headers.update(bearer(token))
        yield client


def run(client: httpx.Client, *arguments: str, text: str | None = None) -> Result:
    app = typer.Typer()
    app.add_typer(flags.flags_app, name="flags")
    return CliRunner().invoke(app, ["flags", *arguments, "--url", str(client.base_url)], input=text)


def test_export_is_short_sorted_and_the_same_each_time(client: httpx.Client) -> None:
    created_segment(client)
    created(client, "b", rules=for_segment("beta"))
    created(client, "a", type="string", value="NO", tags=["x"])

    exported = run(client, "export")

    assert exported.exit_code == 0, exported.output
    assert yaml.safe_load(exported.stdout) == {
        "segments": [
            {
                "key": "beta",
                "name": "Beta",
                "conditions": [{"attribute": "plan", "operator": "equals", "value": "beta"}],
            }
        ],
        "flags": [
            {
                "key": "a",
                "name": "a",
                "type": "string",
                "isEnabled": True,
                "value": "NO",
                "defaultValue": None,
                "rolloutPercentage": 100,
                "tags": ["x"],
                "hashAttribute": "id",
            },
            {
                "key": "b",
                "name": "b",
                "type": "boolean",
                "isEnabled": True,
                "value": True,
                "defaultValue": False,
                "rolloutPercentage": 100,
                "rules": [
                    {
                        "id": "beta",
                        "isEnabled": True,
                        "segments": ["beta"],
                        "coverage": 1,
                        "hashVersion": 2,
                        "sticky": False,
                        "force": True,
                    }
                ],
                "hashAttribute": "id",
            },
        ],
    }
    client.patch("/api/feature-flags/flags/a", json={"tags": ["x"]})
    assert run(client, "export").stdout == exported.stdout


def test_what_was_exported_to_a_file_is_applied_without_a_change(client: httpx.Client, tmp_path: Path) -> None:
    created_segment(client)
    created(client, "b", rules=for_segment("beta"), description="ä: \U0001f600 #no comment\nsecond line")
    file = tmp_path / "flags.yml"

    exported = run(client, "export", "--output", str(file))
    applied = run(client, "apply", str(file), "--prune")

    assert exported.stdout == f"1 flags and 1 segments in {file}\n"
    assert (applied.exit_code, applied.stdout) == (0, "0 created, 0 updated, 0 deleted, 2 unchanged\n")


def test_apply_tells_its_plan_first_and_then_does_it(client: httpx.Client, tmp_path: Path) -> None:
    created(client, "changed")
    created(client, "gone")
    file = tmp_path / "flags.yml"
    file.write_text(
        """
        flags:
          - {key: changed, name: changed, rolloutPercentage: 5, tags: [new]}
          - {key: norway, name: Norway, conditions: [{attribute: country, operator: equals, value: NO}]}
        """,
        encoding="utf-8",
    )
    plan = "~ flag changed: rolloutPercentage, tags\n+ flag norway\n- flag gone\n"
    counts = "1 created, 1 updated, 1 deleted, 0 unchanged\n"

    tried = run(client, "apply", str(file), "--dry-run", "--prune")
    assert (tried.exit_code, tried.stdout) == (0, f"{plan}would be {counts}")
    assert client.get("/api/feature-flags/flags/gone").status_code == 200

    done = run(client, "apply", str(file), "--prune", "--comment", "from git")
    assert (done.exit_code, done.stdout) == (0, f"{plan}{counts}")
    assert client.get("/api/feature-flags/flags/gone").status_code == 404
    norway = client.get("/api/feature-flags/flags/norway").json()
    assert norway["conditions"][0]["value"] == "NO"
    [change] = client.get("/api/feature-flags/flags/norway/history").json()["items"]
    assert change["comment"] == "from git"


def test_apply_reads_its_input(client: httpx.Client) -> None:
    applied = run(client, "apply", "-", text="flags: [{key: a, name: A}]")

    assert (applied.exit_code, applied.stdout.splitlines()[0]) == (0, "+ flag a"), applied.output


def test_apply_names_everything_that_is_wrong_and_changes_nothing(client: httpx.Client) -> None:
    text = "flags: [{key: good, name: G}, {key: b, type: string}, {key: c, colour: blue}]"

    applied = run(client, "apply", "-", text=text)

    assert applied.exit_code == 2
    assert "flags[1].value: value is required" in applied.stderr
    assert "flags[2].colour: There is no field colour" in applied.stderr
    assert client.get("/api/feature-flags/flags").json()["items"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flags: [", "flags"),
        ("- a", "is a mapping"),
        ("", "is a mapping"),
        ("flags: [{key: a, key: b}]", "key is there twice"),
        ("flags: [{key: a, type: number, value: .nan}]", "Out of range float"),
    ],
)
def test_apply_refuses_a_file_that_cannot_be_read(client: httpx.Client, text: str, said: str) -> None:
    applied = run(client, "apply", "-", text=text)

    assert applied.exit_code == 2
    assert said in applied.stderr
    assert "Traceback" not in applied.output


def test_apply_refuses_a_file_that_is_not_there(client: httpx.Client, tmp_path: Path) -> None:
    applied = run(client, "apply", str(tmp_path / "nothing.yml"))

    assert applied.exit_code == 2
    assert "nothing.yml" in applied.stderr


def test_a_token_is_needed(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANALYTICS_TOKEN")

    assert "ANALYTICS_TOKEN" in run(client, "export").output


@given(document=flag_documents(), text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_yaml_says_what_json_said(document: dict[str, Any], text: str) -> None:
    bundle = {"flags": [document | {"value": text, "name": text}], "segments": []}

    [read] = read_yaml(flags.as_yaml(bundle))["flags"]

    written = bundle["flags"][0]
    for rule, read_rule in zip(written.pop("rules", []), read.pop("rules", []), strict=True):
        assert read_rule == {name: one for name, one in rule.items() if one or name in read_rule}
    assert read == {name: one for name, one in written.items() if one or name in read}
