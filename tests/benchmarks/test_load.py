import json
import threading
from collections.abc import Iterator

import pytest

from benchmarks.harness.load import Load, posting
from benchmarks.harness.tracking import Request, Sender
from tests.benchmarks.answering import ACCEPTED, BUSY, HANG_UP, answering

REJECTING = b'HTTP/1.1 202 Accepted\r\ncontent-length: 21\r\n\r\n{"status":"rejected"}'
REFUSING = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture
def sender() -> Sender:
    return Sender("run", "wk_key")


def ids_and_attempts(body: bytes) -> list[tuple[str, str]]:
    return [(event["eventId"], event["properties"]["attempt"]) for event in json.loads(body)["events"]]


@pytest.mark.parametrize("trouble", [BUSY, HANG_UP])
def test_load_sends_the_same_events_again_when_they_were_not_acknowledged(sender: Sender, trouble: bytes) -> None:
    with answering([trouble, ACCEPTED]) as (port, bodies):
        load = Load(port, sender.batches(3, 3), connections=1)

        load.run()

    first, second = (ids_and_attempts(body) for body in bodies)
    assert [event_id for event_id, _ in first] == [event_id for event_id, _ in second]
    assert {attempt for _, attempt in first} == {"000"}
    assert {attempt for _, attempt in second} == {"001"}
    assert [(one.first, one.size, one.sendings) for one in load.acknowledged] == [(0, 3, 2)]


@pytest.mark.parametrize("answer", [REJECTING, REFUSING])
def test_load_reports_an_answer_that_another_sending_would_not_change(sender: Sender, answer: bytes) -> None:
    with answering([answer, ACCEPTED]) as (port, bodies):
        load = Load(port, sender.batches(2, 1), connections=1)

        load.run()

    assert load.refused == [answer.decode()]
    assert [one.first for one in load.acknowledged] == [1]
    assert len(bodies) == 2


def test_load_reads_an_answer_that_comes_in_pieces(sender: Sender) -> None:
    with answering([ACCEPTED], piece_bytes=7) as (port, _):
        load = Load(port, sender.batches(4, 2), connections=1)

        load.run()

    assert load.acknowledged_events == 4
    assert not load.resent


def test_load_sends_again_what_it_has_hung_up_on(sender: Sender) -> None:
    with answering([ACCEPTED]) as (port, bodies):
        load = Load(port, sender.batches(40, 1), connections=1, lost_share=0.3)

        load.run()

    assert load.acknowledged_events == 40
    assert load.resent["connection lost"] > 0
    assert len(bodies) > 40


def test_load_keeps_to_its_rate(sender: Sender) -> None:
    with answering([ACCEPTED]) as (port, _):
        load = Load(port, sender.batches(50, 1), connections=1, events_per_second=100)

        load.run()

    due = [one.due_at for one in load.acknowledged]
    assert due[-1] - due[0] == pytest.approx(0.49, abs=0.001)


def test_leaving_a_load_waits_for_what_was_begun(sender: Sender) -> None:
    first_was_taken = threading.Event()

    def requests() -> Iterator[Request]:
        for request in sender.batches(10**6, 1):
            first_was_taken.set()
            yield request

    with answering([BUSY, BUSY, ACCEPTED]) as (port, _):
        with posting(Load(port, requests(), connections=1)) as load:
            assert first_was_taken.wait(10)

        assert load.acknowledged_events == load.sent_events > 0
