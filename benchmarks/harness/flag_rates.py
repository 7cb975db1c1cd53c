"""Evaluations per second over HTTP, as a ratio to the empty route of the same process, in turns."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.harness.flag_requests import Asking
from benchmarks.harness.full_load import seconds_to_answers
from benchmarks.harness.tracking import Request
from benchmarks.harness.usage import cpu_seconds
from local_stack.process import Process

CONNECTIONS = 32
EMPTY = "empty route"
_WARMING = 500
"""Requests that do not count, before the first round."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked again and again."""

    name: str
    requests: Callable[[int], list[Request]]
    """So many of them."""
    target: float | None = None
    """Least ratio to the empty route."""
    aim: float | None = None


class Rates:
    """Requests per second of each round, and the server's CPU time of all, by case."""

    def __init__(self, port: int, server: Process, asking: Asking) -> None:
        self._port = port
        self._server = server
        self._asking = asking
        self._cases: list[Case] = []
        self._rates: dict[str, list[float]] = defaultdict(list)
        self._ratios: dict[str, list[float]] = defaultdict(list)
        self._cpu_seconds: dict[str, float] = defaultdict(float)
        self._requests: Counter[str] = Counter()

    def measure(self, cases: list[Case], rounds: int, requests: int) -> None:
        """Ask the empty route and each case in turn, `rounds` times."""
        self._cases += cases
        empty = Case(EMPTY, self._asking.of_nothing)
        for case in (empty, *cases):
            self._rate(case, _WARMING)
        for _ in range(rounds):
            baseline = self._counted(empty, requests)
            for case in cases:
                self._ratios[case.name].append(self._counted(case, requests) / baseline)

    def ratio(self, case: Case) -> float:
        """Of the case to the empty route, in the median of the rounds."""
        return statistics.median(self._ratios[case.name])

    @property
    def are_reached(self) -> bool:
        """Whether every case has its target."""
        return all(case.target is None or self.ratio(case) >= case.target for case in self._cases)

    def lines(self) -> Iterator[str]:
        """The figures."""
        yield f"{EMPTY:46} {self._figures(EMPTY)}"
        for case in self._cases:
            wanted = f", target {case.target:.2f}" if case.target else f", aim {case.aim:.2f}" if case.aim else ""
            yield f"{case.name:46} {self._figures(case.name)}, {self.ratio(case):.2f} x the {EMPTY}{wanted}"

    def _figures(self, name: str) -> str:
        cpu = self._cpu_seconds[name] / self._requests[name] * 1e6
        return f"{statistics.median(self._rates[name]):7,.0f} requests/s, {cpu:4.0f} us of CPU each"

    def _counted(self, case: Case, requests: int) -> float:
        before = cpu_seconds(self._server.pid)
        rate = self._rate(case, requests)
        self._cpu_seconds[case.name] += cpu_seconds(self._server.pid) - before
        self._requests[case.name] += requests
        self._rates[case.name].append(rate)
        return rate

    def _rate(self, case: Case, requests: int) -> float:
        return requests / seconds_to_answers(self._port, case.requests(requests), CONNECTIONS)
