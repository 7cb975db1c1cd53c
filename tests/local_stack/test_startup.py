import socket
from pathlib import Path

import pytest

from local_stack.config import Ports, StackSettings
from local_stack.ports import free_port
from local_stack.startup import PortTaken, check_ports, programs_on_free_ports


@pytest.mark.parametrize("name", Ports._fields)
def test_taken_port_is_named_with_the_variable_that_moves_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv(f"LOCAL_STACK_{name.upper()}_PORT", str(port))
    others = {f"{other}_port": free_port() for other in Ports._fields if other != name}

    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken) as failure:
        check_ports(StackSettings(**others))

    assert f"Port {port} is taken" in str(failure.value)
    assert f"LOCAL_STACK_{name.upper()}_PORT" in str(failure.value)


def test_programs_on_free_ports_are_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_STACK_PORT_OFFSET", "1")

    first, second = programs_on_free_ports(tmp_path / "a"), programs_on_free_ports(tmp_path / "b")

    check_ports(first.settings)
    assert not set(first.settings.ports) & set(second.settings.ports)
