"""`analytics token` and `analytics key`: who may read, and what may send events."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ingest_api.auth.access_store import AccessStore, UnknownCredential
from ingest_api.auth.roles import Role
from ingest_api.auth.tokens import new_claims, sign
from ingest_api.auth.write_keys import new_write_key
from ingest_api.config import ApiSettings, StreamSettings
from ingest_api.services import valkey_client
from warehouse.config import WarehouseSettings

token_app = typer.Typer(help="Tokens with a role, for people and services.", no_args_is_help=True)
key_app = typer.Typer(help="Public write keys: they send events and evaluate flags.", no_args_is_help=True)

_LIFETIME = re.compile(r"^([1-9]\d{0,5})([mhd])$")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_SOURCE = re.compile(r"^[a-z][a-z0-9_-]{0,31}$")
_LONGEST_SUBJECT = 128
_PIPE_WIDTH = 200

Answer = TypeVar("Answer")
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the secret, for scripts.")]


@token_app.command("issue")
def issue_token(
    role: Annotated[Role, typer.Option(help="What the bearer may do.")],
    subject: Annotated[str, typer.Option(help="Whom it is for, for example a name or a service.")],
    expires: Annotated[str, typer.Option(help="Lifetime: a number and m, h or d.")] = "90d",
    quiet: Quiet = False,
) -> None:
    """Sign a token and show it once."""
    lifetime = _lifetime(expires)
    if not 1 <= len(subject) <= _LONGEST_SUBJECT:
        raise typer.BadParameter(f"has 1 to {_LONGEST_SUBJECT} characters", param_hint="--subject")
    secret, now = ApiSettings().jwt_secret, datetime.now(UTC)
    claims = new_claims(subject, role, lifetime, now)
    _with_store(lambda store: store.add_token(claims, now))
    token = sign(claims, secret)
    if quiet:
        typer.echo(token)
        return
    typer.echo(f"Token {claims.token_id} for {subject} ({role}), valid until {_moment(claims.expires_at)}:")
    typer.echo(token)


@token_app.command("list")
def list_tokens() -> None:
    """Show issued tokens, the newest first; the tokens themselves are not kept."""
    now = datetime.now(UTC)
    table = Table("ID", "Subject", "Role", "Issued", "Expires", "State")
    for token in _with_store(lambda store: store.tokens()):
        claims = token.claims
        state = "expired" if claims.expires_at <= now else _state(token.revoked_at)
        row = (
            claims.token_id,
            escape(claims.subject),
            claims.role,
            _moment(claims.issued_at),
            _moment(claims.expires_at),
        )
        table.add_row(*row, state)
    _show(table, "No tokens were issued; see `analytics token issue --help`.")


@token_app.command("revoke")
def revoke_token(token_id: Annotated[str, typer.Argument(metavar="ID", help="From `analytics token list`.")]) -> None:
    """Refuse a token from now on; each running API process learns it within two seconds."""
    _with_store(lambda store: store.revoke_token(token_id, datetime.now(UTC)))
    typer.echo(f"Token {token_id} is revoked.")


@key_app.command("issue")
def issue_key(
    source: Annotated[str, typer.Option(help="Where its events come from, for example web, ios or backend.")],
    name: Annotated[str, typer.Option(help="A note for yourself.")] = "",
    quiet: Quiet = False,
) -> None:
    """Make a write key and show it once; only its SHA-256 is kept."""
    if not _SOURCE.match(source):
        raise typer.BadParameter("is 1 to 32 of a-z, 0-9, _ and -, a letter first", param_hint="--source")
    secret, key = new_write_key(source, name, datetime.now(UTC))
    _with_store(lambda store: store.add_key(key))
    if quiet:
        typer.echo(secret)
        return
    typer.echo(f"Write key {key.key_id} for events from {source}:")
    typer.echo(secret)


@key_app.command("list")
def list_keys() -> None:
    """Show issued write keys, the newest first."""
    table = Table("ID", "Source", "Name", "Issued", "State")
    for issued in _with_store(lambda store: store.keys()):
        key = issued.key
        table.add_row(key.key_id, key.source, escape(key.name), _moment(key.issued_at), _state(issued.revoked_at))
    _show(table, "No write keys were issued; see `analytics key issue --help`.")


@key_app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID", help="From `analytics key list`.")]) -> None:
    """Refuse a write key from now on; each running API process learns it within two seconds."""
    _with_store(lambda store: store.revoke_key(key_id, datetime.now(UTC)))
    typer.echo(f"Write key {key_id} is revoked.")


def _with_store(work: Callable[[AccessStore], Awaitable[Answer]]) -> Answer:
    """Do one thing with the store of this environment; an unknown id or a silent Valkey is one sentence, exit 1."""
    settings, environment = StreamSettings(), WarehouseSettings().clickhouse_database

    async def run() -> Answer:
        async with valkey_client(settings) as valkey:
            return await work(AccessStore(valkey, environment))

    try:
        return asyncio.run(run())
    except UnknownCredential as error:
        typer.echo(f"analytics: {error}", err=True)
    except (RedisError, OSError) as error:
        # Its text may hold the address, and the address the password.
        typer.echo(f"analytics: Valkey at REDIS_URL does not answer ({type(error).__name__})", err=True)
    raise typer.Exit(1)


def _lifetime(text: str) -> timedelta:
    if match := _LIFETIME.match(text):
        lifetime = int(match[1]) * _UNITS[match[2]]
        if lifetime <= timedelta(days=3650):
            return lifetime
    raise typer.BadParameter("is a number and m, h or d, at most 3650d; for example 90d", param_hint="--expires")


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _state(revoked_at: datetime | None) -> str:
    return f"revoked {_moment(revoked_at)}" if revoked_at else "active"


def _show(table: Table, when_empty: str) -> None:
    if not table.row_count:
        typer.echo(when_empty)
        return
    # A pipe has no width; at the default of 80 columns ids would be cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
