"""A TCP proxy on this machine: what every proxy that does something on the way has in common."""

import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Self

from local_stack.ports import LOOPBACK


class Forwarding(ABC):
    """Accepts connections while the block is open, each for a connection of its own to a port of this machine."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server((LOOPBACK, 0))
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @abstractmethod
    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """Carry what the client sends to the server until one hangs up, and what `_answer` does back."""

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hang_up(self._listener, *self._ends)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection((LOOPBACK, self._target_port)) as server:
            self._ends += client, server
            self._forward(client, server)


def hang_up(*ends: socket.socket) -> None:
    """End connections, whatever state they are in."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def receive(end: socket.socket) -> bytes:
    """What came next; nothing when the connection has ended."""
    try:
        return end.recv(262_144)
    except OSError:
        return b""
