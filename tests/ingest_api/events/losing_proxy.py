"""A TCP proxy that breaks a connection just before or after the server has executed a command, or holds a command."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self, TypeAlias

Moment: TypeAlias = Literal["before", "after"]


class LosingProxy:
    """Forwards connections to a port of this machine; `lose` and `hold` are about commands that contain `trigger`."""

    def __init__(self, target_port: int, trigger: bytes) -> None:
        self._target_port = target_port
        self._trigger = trigger
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._left = 0
        self._when: Moment = "after"
        self._let_through = threading.Event()
        self._let_through.set()
        self.holds = threading.Event()
        """Set while a command is held back."""
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def lose(self, commands: int, when: Moment) -> None:
        """Break the connection of the next commands before or after the server has executed them."""
        self._left, self._when = commands, when

    def hold(self) -> None:
        """Keep commands from the server, from now on until `release`."""
        self._let_through.clear()

    def release(self) -> None:
        """Let the server have what was held back, also if the client is gone by now."""
        self._let_through.set()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        _hang_up(self._listener, *self._ends)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target_port)) as server:
            self._ends += client, server
            losing = threading.Event()
            answers = threading.Thread(target=self._answer, args=(server, client, losing))
            answers.start()
            while data := _receive(client):
                if self._trigger in data and not self._let_through.is_set():
                    self.holds.set()
                    self._let_through.wait()
                    self.holds.clear()
                if self._trigger in data and self._left > 0:
                    self._left -= 1
                    losing.set()
                    if self._when == "before":
                        break
                server.sendall(data)
            if not losing.is_set() or self._when == "before":
                _hang_up(client, server)
            answers.join()

    def _answer(self, server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
        while (data := _receive(server)) and not losing.is_set():
            client.sendall(data)
        _hang_up(client, server)


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""
