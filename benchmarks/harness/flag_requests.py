"""Evaluations as complete HTTP requests, each for another user, and the two API processes that they are sent to."""

import itertools
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from benchmarks.harness.empty_route import FLAG_PATH
from benchmarks.harness.flag_definitions import bundle_of, user_of
from benchmarks.harness.tracking import Request
from local_stack.config import PROJECT_ROOT
from local_stack.ports import LOOPBACK, free_port
from local_stack.process import Process, Program
from local_stack.startup import IngestStack

ALL_PATH = "/api/feature-flags/evaluate"
_ONE_PATH = "/api/feature-flags/flags/{key}/evaluate"
_KNOWN_USERS = 5000
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Asking:
    """Makes requests; no user is asked for twice where nothing else is said."""

    write_key: str
    users: "itertools.count[int]"

    def of_all(self, count: int, **more: Any) -> list[Request]:
        """Evaluate all flags, or those of `keys`."""
        return self._requests(ALL_PATH, count, more)

    def of_one(self, count: int, key: str) -> list[Request]:
        """Evaluate one flag."""
        return self._requests(_ONE_PATH.format(key=key), count, {})

    def of_known(self, count: int) -> list[Request]:
        """Evaluate all flags for thousands of users who come again and again, in any order."""
        bodies = [_encoder.encode(user_of(number)) for number in range(_KNOWN_USERS)]
        chance = random.Random(next(self.users))  # noqa: S311 - repeatable
        return [self._request(ALL_PATH, number, chance.choice(bodies)) for number in range(count)]

    def of_nothing(self, count: int) -> list[Request]:
        """Ask the empty route, with the same body."""
        return self._requests(FLAG_PATH, count, {})

    def _requests(self, path: str, count: int, more: dict[str, Any]) -> list[Request]:
        return [
            self._request(path, number, _encoder.encode(user_of(next(self.users)) | more)) for number in range(count)
        ]

    def _request(self, path: str, number: int, body: bytes) -> Request:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nUser-Agent: shop-backend/1.0\r\n"
            f"X-Write-Key: {self.write_key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return Request(number, 1, head.encode() + body)


@contextmanager
def another_api(running: IngestStack) -> Iterator[tuple[int, Process]]:
    """Serve the API with the empty route from a process of its own, and give its port and the process."""
    programs, port = running.programs, free_port()
    [process] = running.stack.start(
        Program(
            name="flags",
            command=[sys.executable, "-m", "benchmarks.harness.empty_route"],
            environment={**programs.environment, "PORT": str(port)},
            log_path=programs.state.log_path("flags"),
            directory=PROJECT_ROOT,
            health_url=f"http://{LOOPBACK}:{port}/health/live",
        )
    )
    yield port, process


@contextmanager
def editing(running: IngestStack) -> Iterator[httpx.Client]:
    """A client that may change flags, at the stack's own API."""
    headers = {"authorization": f"Bearer {running.access.token}"}
    with httpx.Client(base_url=running.access.api_url, headers=headers, timeout=30) as client:
        yield client


def define(editor: httpx.Client, flags: list[dict[str, Any]]) -> None:
    """Have these flags and no others."""
    answer = editor.post("/api/feature-flags/apply", params={"prune": "true"}, json=bundle_of(flags))
    answer.raise_for_status()
