import socket

from local_stack.ports import free_port, is_taken


def test_port_is_taken_while_somebody_listens() -> None:
    port = free_port()

    with socket.create_server(("127.0.0.1", port)):
        taken_meanwhile = is_taken(port)

    assert taken_meanwhile
    assert not is_taken(port)
