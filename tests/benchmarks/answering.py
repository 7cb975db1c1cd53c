"""A server that answers requests by a script, to see how a client takes it."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}"
HANG_UP = b""


@contextmanager
def answering(answers: Sequence[bytes], piece_bytes: int = 1000) -> Iterator[tuple[int, list[bytes]]]:
    """Answer the nth request with the nth text, in pieces, and later ones with the last; gives port and bodies."""
    bodies: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, list(answers), bodies, piece_bytes))
        thread.start()
        yield listener.getsockname()[1], bodies
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket, answers: list[bytes], bodies: list[bytes], piece_bytes: int) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as incoming, suppress(ConnectionError):
            while body := _request(incoming):
                bodies.append(body)
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if answer == HANG_UP:
                    break
                for start in range(0, len(answer), piece_bytes):
                    connection.sendall(answer[start : start + piece_bytes])


def _request(incoming: BinaryIO) -> bytes:
    length = 0
    while line := incoming.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return incoming.read(length)
