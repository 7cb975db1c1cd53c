"""Requests that hold one event each, taken in together.

Many clients send one event at a time. What arrives with one turn of the event loop is judged in one go and appended as
one: the same code then runs for all of it while it is warm in the processor, which costs half of what it costs between
other work, and there is one append to wait for.
"""

import asyncio
import time
from typing import NamedTuple

import msgspec

from ingest_api.errors import ApiError
from ingest_api.events.answers import Accepted, event_refused
from ingest_api.events.enrichment.senders import Sender
from ingest_api.events.intake import Intake
from ingest_api.events.payload import decode_event
from ingest_api.events.reception import arrival_time, rows_of, take_in_alone
from ingest_api.events.stream import EventStream
from ingest_api.events.warnings import Notice
from ingest_api.metrics import IngestMetrics
from warehouse.raw_events import RawEvent, RejectedEvent

# After this much other requests get their turn.
_TURN_SECONDS = 0.005
_TURN_BYTES = 1024 * 1024

_encoder = msgspec.json.Encoder()


class _Waiting(NamedTuple):
    body: bytes
    source: str
    sender: Sender
    answer: asyncio.Future[bytes]


class _Judged(NamedTuple):
    row: RawEvent | RejectedEvent
    notices: list[Notice]
    source: str
    answer: asyncio.Future[bytes]


class Singles:
    """Takes in single events. For one event loop."""

    def __init__(self, intake: Intake, stream: EventStream, metrics: IngestMetrics) -> None:
        self._intake = intake
        self._stream = stream
        self._metrics = metrics
        self._waiting: list[_Waiting] = []

    def take_in(self, body: bytes, source: str, sender: Sender) -> asyncio.Future[bytes]:
        """The answer to a request with this body, once the event is on disk, accepted or rejected.

        Fails with:
            InputInvalid: the body cannot be read, or the event was rejected.
            StreamAway: the event is not known to be on disk; the client has to send it again.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._take_turn)
        answer: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append(_Waiting(body, source, sender, answer))
        return answer

    def _take_turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        received_at = arrival_time()
        judged: list[_Judged] = []
        size, turn_ends = 0, time.monotonic() + _TURN_SECONDS
        for place, (body, source, sender, answer) in enumerate(waiting):
            if size > _TURN_BYTES or (place and not place % 16 and time.monotonic() > turn_ends):
                self._waiting = waiting[place:]
                asyncio.get_running_loop().call_soon(self._take_turn)
                break
            size += len(body)
            try:
                row, notices = take_in_alone(decode_event(body), source, received_at, self._intake, sender)
            except Exception as error:
                _fail(answer, error)
            else:
                judged.append(_Judged(row, notices, source, answer))
        if judged:
            self._append(judged)

    def _append(self, judged: list[_Judged]) -> None:
        accepted = [one.row for one in judged if isinstance(one.row, RawEvent)]
        rejected = [one.row for one in judged if isinstance(one.row, RejectedEvent)]
        try:
            stored = self._stream.append(rows_of(accepted, rejected))
        except ApiError as error:
            for one in judged:
                _fail(one.answer, error)
        else:
            stored.add_done_callback(lambda stored: self._answer(judged, stored.exception()))

    def _answer(self, judged: list[_Judged], error: BaseException | None) -> None:
        for row, notices, source, answer in judged:
            if error is not None:
                _fail(answer, error)
            elif isinstance(row, RejectedEvent):
                self._metrics.rejected(source, row.code)
                _fail(answer, event_refused(row))
            else:
                self._metrics.accepted(source, 1)
                if not answer.done():
                    answer.set_result(_encoder.encode(Accepted(row.event_id, warnings=notices or ())))


def _fail(answer: asyncio.Future[bytes], error: BaseException) -> None:
    if not answer.done():  # else its request was cancelled
        answer.set_exception(error)
