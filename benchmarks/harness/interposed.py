"""A TCP proxy that lets something happen at the moment between a server's answer and its arrival."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from local_stack.ports import LOOPBACK


class Interposed:
    """Forwards connections to a port of this machine while the block is open."""

    def __init__(self, target_port: int, request: bytes) -> None:
        """`request` is what the request contains whose answer is waited for."""
        self._target_port = target_port
        self._request = request
        self._listener = socket.create_server((LOOPBACK, 0))
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._armed = threading.Event()
        self._done = threading.Event()
        self._action: Callable[[], None] = lambda: None

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

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

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection((LOOPBACK, self._target_port)) as server:
            self._ends += client, server
            waiting = threading.Event()
            answers = threading.Thread(target=self._answer, args=(server, client, waiting), daemon=True)
            answers.start()
            while data := _receive(client):
                if self._request in data and self._armed.is_set():
                    self._armed.clear()
                    waiting.set()
                server.sendall(data)
            _hang_up(server)
            answers.join()

    def _answer(self, server: socket.socket, client: socket.socket, waiting: threading.Event) -> None:
        while data := _receive(server):
            if waiting.is_set():
                self._action()
                self._done.set()
                break
            with suppress(OSError):
                client.sendall(data)
        _hang_up(client)


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(262_144)
    except OSError:
        return b""
