"""A webserver that answers as Dagster's does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Webserver:
    """Where it is, what it answers next, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.answer: tuple[int, str] = (200, "")
        self.asked: list[dict[str, Any]] = []

    def launches(self, launched: dict[str, Any]) -> None:
        self.answer = (200, json.dumps({"data": {"launchRun": launched}}))


@contextmanager
def webserver() -> Iterator[Webserver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.asked.append({"path": self.path, **json.loads(body)})
            status, text = found.answer
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Webserver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
