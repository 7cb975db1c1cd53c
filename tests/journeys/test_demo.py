"""The demo at a small scale: posted through the API, built by a Dagster run, its numbers checked; then once more."""

import os
import re
import signal

import pytest

from tests.journeys.conftest import Journey, eventually, runs

SIZE = ("--days", "3", "--events", "3000")
READY = "Press Ctrl-C to stop everything."


def numbers(output: str) -> list[str]:
    return re.findall(r"│ (?:Events|Visitors|Sessions|Orders|Gross|Refunds|Net|Conversion).*│ (\w+) +│", output)


@pytest.mark.timeout(900)
def test_demo_builds_the_marts_and_a_second_one_doubles_nothing(journey: Journey) -> None:
    first = journey.start("demo", *SIZE)
    assert first.stdout is not None
    output = ""
    while READY not in output and (line := first.stdout.readline()):
        output += line
    assert numbers(output) == ["equal"] * 8, output
    rows_before = len(journey.stored_event_ids())

    second = journey.run("demo", *SIZE, timeout=480)
    rows_after = len(journey.stored_event_ids())
    before = journey.pids()
    os.kill(first.pid, signal.SIGINT)
    first.communicate(timeout=90)

    assert second.returncode == 0, second.stdout + second.stderr
    assert "Using the stack that is already running." in second.stdout
    assert numbers(second.stdout) == ["equal"] * 8
    # A few visits may have gone on in the meantime.
    assert rows_after - rows_before < 100
    assert first.returncode == 0
    assert eventually(lambda: not any(map(runs, before.values())))
