import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from local_stack.health import answers
from local_stack.ports import free_port


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_http_server_is_ready_when_it_answers_well(server_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    ready, unready = (answers(f"http://127.0.0.1:{server_port}/{path}") for path in ("ready", "starting"))

    assert ready
    assert not unready


@pytest.mark.parametrize("scheme", ["http", "redis", "tcp"])
def test_nothing_answers_where_nobody_listens(scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}"

    ready = answers(url)

    assert not ready


def test_tcp_server_is_ready_when_it_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ready = answers(f"tcp://127.0.0.1:{server.getsockname()[1]}")

    assert ready
