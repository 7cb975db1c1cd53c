"""A TCP proxy that breaks a connection just before or after the server has executed a command, or holds a command."""

import socket
import threading
from types import TracebackType
from typing import Literal, TypeAlias

from benchmarks.harness.forwarding import Forwarding, hang_up, receive

Moment: TypeAlias = Literal["before", "after"]


class LosingProxy(Forwarding):
    """Forwards connections to a port of this machine; `lose` and `hold` are about commands that contain `trigger`."""

    def __init__(self, target_port: int, trigger: bytes) -> None:
        super().__init__(target_port)
        self._trigger = trigger
        self._left = 0
        self._when: Moment = "after"
        self._let_through = threading.Event()
        self._let_through.set()
        self.holds = threading.Event()
        """Set while a command is held back."""

    def lose(self, commands: int, when: Moment) -> None:
        """Break the connection of the next commands before or after the server has executed them."""
        self._left, self._when = commands, when

    def hold(self) -> None:
        """Keep commands from the server, from now on until `release`."""
        self._let_through.clear()

    def release(self) -> None:
        """Let the server have what was held back, also if the client is gone by now."""
        self._let_through.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        super().__exit__(kind, error, trace)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        losing = threading.Event()
        answers = threading.Thread(target=self._answer, args=(server, client, losing), daemon=True)
        answers.start()
        while data := receive(client):
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
            hang_up(client, server)
        answers.join()

    def _answer(self, server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
        while (data := receive(server)) and not losing.is_set():
            client.sendall(data)
        hang_up(client, server)
