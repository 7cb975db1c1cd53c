import stat
from dataclasses import astuple
from pathlib import Path

from local_stack.credentials import load_or_create_credentials


def test_credentials_are_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"

    made, read = load_or_create_credentials(path), load_or_create_credentials(path)

    assert made == read
    assert len(set(astuple(made))) == len(astuple(made))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_credentials_missing_from_an_older_file_are_added(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_text("JWT_SECRET=an-old-secret-that-tokens-were-signed-with\n")

    made, read = load_or_create_credentials(path), load_or_create_credentials(path)

    assert made == read
    assert read.jwt_secret == "an-old-secret-that-tokens-were-signed-with"
    assert read.valkey_password


def test_credentials_do_not_show_themselves(tmp_path: Path) -> None:
    credentials = load_or_create_credentials(tmp_path / "secrets.env")

    shown = f"{credentials!r} {credentials}"

    assert not any(secret in shown for secret in astuple(credentials))
