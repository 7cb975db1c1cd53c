"""A TCP proxy that lets something happen at the moment between a server's answer and its arrival."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from benchmarks.harness.forwarding import Forwarding, hang_up, receive


class Interposed(Forwarding):
    """Forwards connections to a port of this machine while the block is open."""

    def __init__(self, target_port: int, request: bytes) -> None:
        """`request` is what the request contains whose answer is waited for."""
        super().__init__(target_port)
        self._request = request
        self._armed = threading.Event()
        self._done = threading.Event()
        self._action: Callable[[], None] = lambda: None

    def on_next_answer(self, action: Callable[[], None], timeout_seconds: float = 30) -> None:
        """Wait for the next such request, do something when its answer is here, and keep the answer back.

        Raises:
            TimeoutError: there was no such request.
        """
        self._action = action
        self._done.clear()
        self._armed.set()
        if not self._done.wait(timeout_seconds):
            raise TimeoutError(f"no request with {self._request!r} in {timeout_seconds:.0f} s")

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        waiting = threading.Event()
        answers = threading.Thread(target=self._answer, args=(server, client, waiting), daemon=True)
        answers.start()
        while data := receive(client):
            if self._request in data and self._armed.is_set():
                self._armed.clear()
                waiting.set()
            server.sendall(data)
        hang_up(server)
        answers.join()

    def _answer(self, server: socket.socket, client: socket.socket, waiting: threading.Event) -> None:
        while data := receive(server):
            if waiting.is_set():
                self._action()
                self._done.set()
                break
            with suppress(OSError):
                client.sendall(data)
        hang_up(client)
