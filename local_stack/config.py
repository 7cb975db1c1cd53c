"""Where the local stack lives: ports, directories and the environment that its processes inherit."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Ports(NamedTuple):
    """Where each server of the stack listens on the loopback interface."""

    api: int
    clickhouse: int
    valkey: int
    dagster: int
    dagster_code: int


class StackSettings(BaseSettings):
    """The `LOCAL_STACK_*` variables."""

    model_config = SettingsConfigDict(env_prefix="LOCAL_STACK_", populate_by_name=True)

    state_dir: Path = PROJECT_ROOT / ".analytics"
    """Everything that the stack keeps: data, logs, secrets."""
    api_port: int = 3007
    clickhouse_port: int = 8123
    valkey_port: int = 6379
    dagster_port: int = 3000
    dagster_code_port: int = 3030
    port_offset: int = Field(default=0, ge=0, lt=60_000)
    """Added to each of the ports above, so that a second stack can run beside the first."""
    database: str = Field(default="analytics", validation_alias="CLICKHOUSE_DATABASE")

    @property
    def ports(self) -> Ports:
        """The ports that are really used."""
        bases = Ports(self.api_port, self.clickhouse_port, self.valkey_port, self.dagster_port, self.dagster_code_port)
        return Ports(*(port + self.port_offset for port in bases))


def inherited_environment() -> dict[str, str]:
    """Return what each process inherits: the caller's environment, this Python's commands first on the PATH."""
    environment = dict(os.environ)
    commands = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([commands, environment.get("PATH", os.defpath)])
    environment["PYTHONUNBUFFERED"] = "1"
    # Our processes talk over the loopback interface, which no proxy can reach for them.
    environment["NO_PROXY"] = environment["no_proxy"] = "127.0.0.1,localhost"
    return environment


def bypass_proxies() -> None:
    """Let this process, too, talk directly to the loopback interface."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = inherited_environment()[name]
