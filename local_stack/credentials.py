"""Passwords of the local stack: made once, kept in a file that only its owner can read."""

import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the processes prove to each other."""

    jwt_secret: str
    clickhouse_password: str
    bi_reader_password: str
    valkey_password: str

    def __repr__(self) -> str:
        """Say nothing: a traceback must not show a password."""
        return "Credentials(...)"


def load_or_create_credentials(path: Path) -> Credentials:
    """Read the `NAME=value` lines of the file; what is missing is made and written to it (mode 0600)."""
    lines = path.read_text().splitlines() if path.exists() else []
    known = {name.lower(): value for name, found, value in (line.partition("=") for line in lines) if found}
    names = [field.name for field in fields(Credentials)]
    credentials = Credentials(**{name: known.get(name) or secrets.token_hex(32) for name in names})
    if any(name not in known for name in names):
        write_private(path, "".join(f"{name.upper()}={value}\n" for name, value in asdict(credentials).items()))
    return credentials


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step by one that only its owner can read (mode 0600)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
