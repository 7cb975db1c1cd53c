"""`analytics quarantine`, against a running API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from command_line import api_session, quarantine
from ingest_api.auth.roles import Role
from ingest_api.events.flusher import open_flusher
from local_stack.processes import free_port
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.conftest import Api
from tests.ingest_api.events.events_given import running
from tests.ingest_api.quarantine.conftest import healed, rejected, replayed, store
from tests.ingest_api.serving import api_settings, seconds_until, serving, token_for
from warehouse.client import connect


@pytest.fixture
def api(gateway: Gateway, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API with an empty quarantine, and an editor's token in the environment."""
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    monkeypatch.setenv("ANALYTICS_TOKEN", token_for(settings, Role.EDITOR))
    with serving(settings, warehouse_settings) as client:
        yield Api(client, settings, warehouse_settings)


def run(api: Api, *arguments: str) -> Result:
    app = typer.Typer()
    app.add_typer(quarantine.quarantine_app, name="quarantine")
    return CliRunner().invoke(app, ["quarantine", *arguments, "--url", str(api.client.base_url)])


def cells(listed: str) -> list[list[str]]:
    """The rows of a table."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in listed.splitlines() if line.startswith("│")]


def stored_ids(api: Api) -> set[str]:
    client = connect(api.warehouse_settings)
    answer = client.query(f"SELECT event_id FROM {api.warehouse_settings.database('raw')}.events")
    client.close()
    return {row[0] for row in answer.result_rows}


def test_list_shows_what_waits_and_why(api: Api) -> None:
    store(api.warehouse_settings, rejected(1), rejected(2, event_name="[red]odd", is_complete=False), rejected(3))
    store(api.warehouse_settings, replayed(3))

    listed = run(api, "list")

    why = ["web", "identity_missing", "userId", "userId or anonymousId is required."]
    assert cells(listed.stdout) == [
        ["r2", "2026-01-31 12:00:02 UTC", "[red]odd", *why, "incomplete"],
        ["r1", "2026-01-31 12:00:01 UTC", "page_view", *why, "waiting"],
    ], listed.output
    assert [row[-1] for row in cells(run(api, "list", "--status", "replayed").stdout)] == ["replayed"]


def test_list_is_filtered_and_says_when_there_is_more(api: Api) -> None:
    store(api.warehouse_settings, *(rejected(number, source="ios") for number in range(3)), rejected(9))

    listed = run(api, "list", "--source", "ios", "--until", "2026-01-31T12:00:09Z", "--limit", "2")

    assert [row[0] for row in cells(listed.stdout)] == ["r2", "r1"]
    assert "Only the newest 2 are shown" in listed.stdout
    assert run(api, "list", "--code", "nothing").stdout == "No rejected event matches.\n"


def test_show_prints_the_payload_and_every_attempt(api: Api) -> None:
    store(api.warehouse_settings, rejected(1, payload='{"eventName": "ü"}'), replayed(1, "rejected"))

    shown: dict[str, Any] = json.loads(run(api, "show", "r1").stdout)

    assert shown["payload"] == '{"eventName": "ü"}'
    assert [one["outcome"] for one in shown["attempts"]] == ["rejected"]


def test_replay_takes_in_what_is_valid_now_and_names_the_rest(api: Api) -> None:
    store(api.warehouse_settings, *(healed(number) for number in range(1200)))
    store(api.warehouse_settings, rejected(2000), healed(2001, source="ios"))

    tried = run(api, "replay", "--source", "web", "--dry-run")
    assert tried.exit_code == 1
    assert "1,200 would be accepted, 1 rejected once more (1 identity_missing)" in tried.stdout

    done = run(api, "replay", "--source", "web")
    assert done.exit_code == 1
    assert "1,200 accepted, 1 rejected once more (1 identity_missing)" in done.stdout
    assert cells(done.stdout) == [["r2000", "e2000", "identity_missing", "userId or anonymousId is required."]]
    settings = api.settings.model_copy(update={"analytics_flush_interval": 20})
    with running(open_flusher(settings, api.warehouse_settings)):
        seconds_until(lambda: len(cells(run(api, "list", "--limit", "1000").stdout)) == 2)
    assert stored_ids(api) == {f"e{number}" for number in range(1200)}


def test_replay_of_ids_succeeds_when_all_are_accepted(api: Api) -> None:
    store(api.warehouse_settings, healed(1), healed(2), rejected(3))

    done = run(api, "replay", "r1", "r2")

    assert done.exit_code == 0, done.output
    assert done.stdout == "2 accepted, 0 rejected once more\n"


def test_replay_of_everything_that_waits_is_asked_for_by_name(api: Api) -> None:
    store(api.warehouse_settings, healed(1), healed(2, source="ios"))

    assert run(api, "replay").exit_code == 2
    assert run(api, "replay", "r1", "--all").exit_code == 2
    assert run(api, "replay", "--all").stdout == "2 accepted, 0 rejected once more\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nobody"], "No rejection has the id nobody"),
        (["list", "--since", "soon"], "since"),
        (["replay", "it's"], "rejectionIds[0]"),
        (["list", "--token", "wrong"], "token_invalid"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusal_of_the_api_is_one_sentence(api: Api, arguments: list[str], message: str) -> None:
    done = run(api, *arguments)

    assert done.exit_code == 2
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.output


def test_api_that_is_away_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_session, "_PATIENCE_SECONDS", 0.1)
    app = typer.Typer()
    app.add_typer(quarantine.quarantine_app, name="quarantine")
    url = f"http://127.0.0.1:{free_port()}"

    done = CliRunner().invoke(app, ["quarantine", "list", "--url", url, "--token", "t"])

    assert done.exit_code == 2
    assert done.stderr.startswith(f"analytics quarantine: {url}: ")


def test_token_is_asked_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANALYTICS_TOKEN")

    done = run(api, "list")

    assert done.exit_code == 2
    assert "ANALYTICS_TOKEN" in done.stderr
