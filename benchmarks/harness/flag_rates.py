"""Evaluations per second over HTTP, as a ratio to the empty route of the same process, in turns."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.harness.flag_requests import Asking
from benchmarks.harness.full_load import seconds_to_answers
from benchmarks.harness.tracking import Request

CONNECTIONS = 32
EMPTY = "empty route"


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked again and again."""

    name: str
    requests: Callable[[int], list[Request]]
    """So many of them."""
    target: float | None = None
    """Least ratio to the empty route."""
    aim: float | None = None


@dataclass(slots=True)
class Rates:
    """Requests per second of each round, by case."""

    cases: list[Case] = field(default_factory=list)
    found: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def measure(self, port: int, asking: Asking, cases: list[Case], rounds: int, requests: int) -> None:
        """Ask the empty route and each case in turn, `rounds` times after one that does not count."""
        self.cases += cases
        for number in range(rounds + 1):
            empty = Case(EMPTY, asking.of_nothing)
            rates = {one.name: _rate(port, one.requests(requests if number else 500)) for one in (empty, *cases)}
            if number:
                for name, rate in rates.items():
                    self.found[name].append(rate if name == EMPTY else rate / rates[EMPTY])
                    if name != EMPTY:
                        self.found[f"{name}, absolute"].append(rate)

    def ratio(self, case: Case) -> float:
        """Of the case to the empty route, in the median of the rounds."""
        return statistics.median(self.found[case.name])

    @property
    def are_reached(self) -> bool:
        """Whether every case has its target."""
        return all(case.target is None or self.ratio(case) >= case.target for case in self.cases)

    def lines(self) -> Iterator[str]:
        """The figures."""
        yield f"{EMPTY}: {statistics.median(self.found[EMPTY]):,.0f} requests/s"
        for case in self.cases:
            rate = statistics.median(self.found[f"{case.name}, absolute"])
            wanted = f", target {case.target:.2f}" if case.target else f", aim {case.aim:.2f}" if case.aim else ""
            rounds = " ".join(f"{one:.2f}" for one in self.found[case.name])
            yield f"{case.name}: {rate:,.0f} requests/s, {self.ratio(case):.2f} x the {EMPTY}{wanted}; rounds {rounds}"


def _rate(port: int, requests: list[Request]) -> float:
    return len(requests) / seconds_to_answers(port, requests, CONNECTIONS)
