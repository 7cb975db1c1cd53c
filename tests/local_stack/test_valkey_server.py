import stat
from pathlib import Path

import pytest
import redis

from local_stack.config import inherited_environment
from local_stack.ports import free_port
from local_stack.process import ProcessFailed
from local_stack.processes import start_valkey, valkey_url
from local_stack.valkey_server import valkey_program

PASSWORD = "a-password"


def test_valkey_keeps_an_answered_write_when_it_is_killed(tmp_path: Path) -> None:
    port = free_port()
    first = start_valkey(tmp_path / "with space", port, PASSWORD)
    first.wait_healthy()
    with redis.Redis.from_url(valkey_url(port, PASSWORD)) as client:
        client.set("name", "kept")

    first.kill()
    second = start_valkey(tmp_path / "with space", port, PASSWORD)
    second.wait_healthy()

    with redis.Redis.from_url(valkey_url(port, PASSWORD)) as client:
        assert client.get("name") == b"kept"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
    second.stop()
    assert second.exit_code == 0


def test_valkey_refuses_who_does_not_know_the_password(tmp_path: Path) -> None:
    port = free_port()
    process = start_valkey(tmp_path, port, PASSWORD)
    process.wait_healthy()

    with redis.Redis.from_url(valkey_url(port, "")) as client, pytest.raises(redis.AuthenticationError):
        client.ping()

    process.stop()


def test_valkey_password_is_only_in_a_private_file(tmp_path: Path) -> None:
    program = valkey_program(tmp_path, 6379, PASSWORD, tmp_path / "valkey.log", inherited_environment())

    mode = stat.S_IMODE((tmp_path / "valkey.conf").stat().st_mode)

    assert mode == 0o600
    assert PASSWORD not in " ".join(program.command)


def test_valkey_without_a_server_for_this_machine_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(ProcessFailed, match="has no Valkey server for this machine") as failure:
        valkey_program(tmp_path, 6379, PASSWORD, tmp_path / "valkey.log", inherited_environment())

    assert "\n" not in str(failure.value)
