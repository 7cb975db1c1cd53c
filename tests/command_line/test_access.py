"""`analytics token` and `analytics key`, tried against a real Valkey."""

import secrets
from datetime import timedelta

import pytest
import typer
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from command_line import access
from ingest_api.auth.roles import Role
from ingest_api.auth.tokens import verify
from local_stack.processes import free_port
from tests.conftest import Valkey

SECRET = "s" * 32


@pytest.fixture(autouse=True)
def _environment(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("CLICKHOUSE_DATABASE", f"test_{secrets.token_hex(4)}")


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.add_typer(access.token_app, name="token")
    app.add_typer(access.key_app, name="key")
    return CliRunner().invoke(app, list(arguments))


def first_id(listed: str) -> str:
    """The id in the first row of a table."""
    row = next(line for line in listed.splitlines() if line.startswith("│"))
    return row.split("│")[1].strip()


def test_issued_token_is_good_for_its_role_subject_and_lifetime() -> None:
    token = run(
        "token", "issue", "--role", "analyst", "--subject", "alice", "--expires", "90d", "--quiet"
    ).stdout.strip()

    claims = verify(token, SecretStr(SECRET))

    assert (claims.subject, claims.role) == ("alice", Role.ANALYST)
    assert claims.expires_at - claims.issued_at == timedelta(days=90)


def test_token_is_listed_and_then_revoked() -> None:
    run("token", "issue", "--role", "viewer", "--subject", "bob [red]")
    listed = run("token", "list").stdout
    assert "bob [red]" in listed
    assert "active" in listed

    revoked = run("token", "revoke", first_id(listed))

    assert revoked.exit_code == 0
    assert "revoked" in run("token", "list").stdout


def test_key_is_listed_without_its_secret_and_then_revoked() -> None:
    key = run("key", "issue", "--source", "web", "--name", "shop", "--quiet").stdout.strip()
    listed = run("key", "list").stdout
    assert key.startswith("wk_")
    assert key not in listed
    assert "shop" in listed

    revoked = run("key", "revoke", first_id(listed))

    assert revoked.exit_code == 0
    assert "revoked" in run("key", "list").stdout


def test_words_explain_what_was_issued_when_not_quiet() -> None:
    issued = run("token", "issue", "--role", "admin", "--subject", "ops", "--expires", "2h").stdout

    assert issued.startswith("Token ")
    assert "for ops (admin), valid until" in issued


@pytest.mark.parametrize("command", [("token", "list"), ("key", "list")])
def test_list_says_when_nothing_was_issued(command: tuple[str, str]) -> None:
    result = run(*command)

    assert result.exit_code == 0
    assert result.stdout.startswith("No ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "issue", "--role", "owner", "--subject", "a"),
        ("token", "issue", "--role", "admin", "--subject", ""),
        ("token", "issue", "--role", "admin", "--subject", "a", "--expires", "soon"),
        ("token", "issue", "--role", "admin", "--subject", "a", "--expires", "0d"),
        ("token", "issue", "--role", "admin", "--subject", "a", "--expires", "9999d"),
        ("key", "issue", "--source", "My Website"),
    ],
    ids=lambda arguments: " ".join(arguments[1:]),
)
def test_wrong_argument_is_refused(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("command", [("token", "revoke"), ("key", "revoke")])
def test_unknown_id_is_one_sentence(command: tuple[str, str]) -> None:
    result = run(*command, "nobody")

    assert result.exit_code == 1
    assert result.stderr == f"analytics: no {command[0]} nobody was issued in this environment\n"


def test_valkey_that_is_away_is_one_sentence_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:hunter2@127.0.0.1:{free_port()}")

    result = run("key", "list")

    assert result.exit_code == 1
    assert result.stderr.startswith("analytics: Valkey at REDIS_URL does not answer")
    assert "hunter2" not in result.stderr


def test_keys_need_no_signing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET")

    assert run("key", "issue", "--source", "ios").exit_code == 0
