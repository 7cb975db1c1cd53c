"""How fast flags are evaluated: in one process beside the `growthbook` package, and over HTTP beside an empty route.

In one process: the flag has two conditions and a rollout, every evaluation is for another user than the one before. The
two take turns, so that what else runs on the machine slows both; the answers must be equal.

Over HTTP: the empty route is served by the same process, authenticates, reads the same body and answers. It and the
routes that evaluate take turns. Users who come again are 5,000, in any order; otherwise each request is for another
user. A targeted rollout has two conditions, which half of the users fulfil. Then a flag is written at one API process
again and again, each time until another process answers by it.

Run: python -m benchmarks.flags [--rounds 15] [--http-rounds 40] [--requests 2000] [--writes 100]
"""

import argparse
import itertools
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from growthbook import GrowthBook

from benchmarks.harness.flag_changes import seconds_to_changed_answers, wait_for_definitions
from benchmarks.harness.flag_definitions import mixed, targeted_rollouts
from benchmarks.harness.flag_rates import Case, Rates
from benchmarks.harness.flag_requests import Asking, another_api, define, editing
from benchmarks.harness.percentiles import milliseconds_text, percentile
from flags.codec import decode_flag
from flags.growthbook import payload
from flags.ruleset import Ruleset, user_of
from local_stack.startup import ingest_stack

TARGET_RATIO = 2.0
HTTP_TARGET = 0.5
CHANGE_TARGET_SECONDS = 0.25
_FLAG: Mapping[str, Any] = {
    "name": "New Feature",
    "key": "new_feature",
    "type": "boolean",
    "isEnabled": True,
    "value": True,
    "conditions": [
        {"attribute": "country", "operator": "equals", "value": "US"},
        {"attribute": "plan", "operator": "in", "value": ["premium", "pro"]},
    ],
    "rolloutPercentage": 50,
    "createdBy": "admin",
}
_SPLIT: Mapping[str, Any] = {
    **_FLAG,
    "type": "string",
    "value": "a",
    "variants": [{"key": "a", "weight": 20}, {"key": "b", "weight": 30}, {"key": "c", "weight": 50}],
}
_TEXT: dict[str, Any] = {"key": "headline", "type": "string", "value": "first"}
_USERS = 4000
_COUNTRIES = ("US", "US", "US", "DE")
_PLANS = ("premium", "pro", "free")

Work = Callable[[], list[Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One piece of work done by both, in turns."""

    name: str
    ours_microseconds: list[float]
    theirs_microseconds: list[float]
    """Of each round, for one evaluation."""

    @property
    def ratio(self) -> float:
        """How many times as long theirs takes, in the median of the rounds."""
        pairs = zip(self.theirs_microseconds, self.ours_microseconds, strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)

    def line(self) -> str:
        """The figures."""
        ours, theirs = (statistics.median(one) for one in (self.ours_microseconds, self.theirs_microseconds))
        return f"{self.name}: {ours:.2f} us, growthbook {theirs:.2f} us, {self.ratio:.1f} x"


def users() -> list[dict[str, Any]]:
    """Attributes of users: three of four are in the country, two of three have the plan."""
    return [
        {"id": f"user-{one}", "country": _COUNTRIES[one % 4], "plan": _PLANS[one % 3], "age": one % 80}
        for one in range(_USERS)
    ]


def compare(name: str, ours: Work, theirs: Work, rounds: int) -> Comparison:
    """Let both do their work in turns; each first in every other round.

    Raises:
        AssertionError: their answers differ.
    """
    if ours() != theirs():
        raise AssertionError(f"{name}: the answers differ")
    times: tuple[list[float], list[float]] = ([], [])
    works = (ours, theirs)
    for number in range(rounds):
        for index in (0, 1) if number % 2 else (1, 0):
            begin = time.perf_counter()
            count = len(works[index]())
            times[index].append((time.perf_counter() - begin) / count * 1e6)
    return Comparison(name, *times)


def one_flag(name: str, definition: Mapping[str, Any], rounds: int) -> Comparison:
    """One flag for each user, from the attributes that came with the request."""
    now = datetime.now(UTC)
    rules = Ruleset([decode_flag(definition)])
    client = GrowthBook(features=payload(rules, now, now)["features"])
    everybody, key = users(), definition["key"]

    def ours() -> list[Any]:
        return [rules.evaluate(key, user_of(None, one), now).value for one in everybody]

    def theirs() -> list[Any]:
        answers = []
        for one in everybody:
            client.set_attributes(one)
            answers.append(client.eval_feature(key).value)
        return answers

    return compare(name, ours, theirs, rounds)


def hundred_flags(rounds: int) -> Comparison:
    """A hundred flags of this shape for each user."""
    now = datetime.now(UTC)
    rules = Ruleset([decode_flag({**_FLAG, "key": f"feature_{one}"}) for one in range(100)])
    client = GrowthBook(features=payload(rules, now, now)["features"])
    some = users()[: _USERS // 100]

    def ours() -> list[Any]:
        return [one.value for attributes in some for one in rules.evaluate_all(user_of(None, attributes), now)]

    def theirs() -> list[Any]:
        answers = []
        for attributes in some:
            client.set_attributes(attributes)
            answers += [client.eval_feature(key).value for key in rules.flags]
        return answers

    return compare("one of a hundred such flags", ours, theirs, rounds)


def over_http(options: argparse.Namespace) -> bool:
    """Measure two API processes and print; whether the targets are reached."""
    with (
        tempfile.TemporaryDirectory(prefix="analytics-flags-") as directory,
        ingest_stack(Path(directory)) as running,
        another_api(running) as (port, server),
        editing(running) as editor,
    ):
        asking = Asking(running.access.write_key, itertools.count())
        rates = Rates(port, server, asking)
        define(editor, [*targeted_rollouts(100), _TEXT])
        wait_for_definitions(port, running.access.write_key, _TEXT["key"])
        keys = [f"feature_{one}" for one in range(100)]
        rates.measure(
            [
                Case("one flag by key", lambda count: asking.of_one(count, keys[50]), aim=0.85),
                Case("10 flags by keys", lambda count: asking.of_all(count, keys=keys[40:50])),
                Case("100 targeted rollouts, no user twice", asking.of_all, aim=HTTP_TARGET),
            ],
            options.http_rounds,
            options.requests,
        )
        again = Case("100 targeted rollouts, users who come again", asking.of_known, target=HTTP_TARGET)
        rates.measure([again], options.http_rounds, options.requests)
        waits = seconds_to_changed_answers(editor, port, running.access.write_key, _TEXT["key"], options.writes)
        define(editor, [*mixed(100), _TEXT])
        wait_for_definitions(port, running.access.write_key, "mixed_0")
        for case in (
            Case("100 flags of all kinds, no user twice", asking.of_all),
            Case("100 flags of all kinds, users who come again", asking.of_known, aim=HTTP_TARGET),
        ):
            rates.measure([case], options.http_rounds, options.requests)
    print(f"over HTTP, {options.http_rounds} rounds in turn of {options.requests:,} requests; medians")
    print(*rates.lines(), sep="\n")
    p95 = percentile(waits, 95)
    print(
        f"from writing a flag to another process's answer: {milliseconds_text(waits)}, "
        f"longest {max(waits) * 1000:,.1f} ms, "
        f"{len(waits)} writes; p95 is {p95 / CHANGE_TARGET_SECONDS:.2f} x the target of {CHANGE_TARGET_SECONDS:g} s"
    )
    return rates.are_reached and p95 <= CHANGE_TARGET_SECONDS


def main() -> int:
    """Measure and print; the exit code is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="in one process")
    parser.add_argument("--http-rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=2_000, help="of a round over HTTP")
    parser.add_argument("--writes", type=int, default=100)
    options = parser.parse_args()
    logging.getLogger("growthbook").setLevel(logging.ERROR)
    comparisons = [
        one_flag("one flag, two conditions and a rollout", _FLAG, options.rounds),
        one_flag("the same with three variants", _SPLIT, options.rounds),
        hundred_flags(options.rounds),
    ]
    print(f"in one process, {options.rounds} rounds, medians")
    print(*(one.line() for one in comparisons), sep="\n")
    print(f"target: at least {TARGET_RATIO:g} x")
    is_reached = over_http(options) and all(one.ratio >= TARGET_RATIO for one in comparisons)
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
