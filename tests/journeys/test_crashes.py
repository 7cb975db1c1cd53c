"""Known events posted while something is done to each process: what was acknowledged is stored, each id as one event.

The long form is `python -m benchmarks.crash`.
"""

from collections.abc import Iterator

import pytest

from benchmarks.harness.crashing import PROCESSES, stack_with_two_flushers, trial
from local_stack.startup import IngestStack


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngestStack]:
    with stack_with_two_flushers(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def test_acknowledged_events_survive_the_kill_of_each_process(running: IngestStack) -> None:
    result = trial(running, "kills", lambda faults: faults.kill_at_random(PROCESSES), events_per_second=2000)

    assert result.kills == dict.fromkeys(PROCESSES, 1)
    assert result.reckoning.acknowledged > 2000
    assert result.problems == []
    assert result.reckoning.doubled_by_service == 0


def test_events_are_stored_once_when_a_flusher_dies_between_insert_and_acknowledge(running: IngestStack) -> None:
    result = trial(running, "inserts", lambda faults: faults.kill_after_insert("flusher", 2), events_per_second=2000)

    assert result.problems == []
    assert result.reckoning.doubled_by_service == 0


def test_events_are_stored_once_when_clickhouse_dies_at_the_rename_of_a_part(running: IngestStack) -> None:
    result = trial(running, "renames", lambda faults: faults.kill_at_rename(2), events_per_second=2000)

    assert result.repairs > 0, "no token was used up, so this tested nothing"
    assert result.problems == []
    assert result.reckoning.doubled_by_service == 0


def test_each_event_is_stored_when_clients_lose_answers_and_send_again(running: IngestStack) -> None:
    result = trial(running, "storm", lambda _: None, events=10_000, events_per_second=0, lost_share=0.3)

    assert result.problems == []
    assert result.reckoning.stored == result.reckoning.sent
    assert result.reckoning.doubled_by_client > 0, "no event came twice, so this tested nothing"
    assert result.reckoning.doubled_by_service == 0
