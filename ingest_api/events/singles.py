"""Requests that hold one event each, taken in together.

Many clients send one event at a time. What arrives with one turn of the event loop is judged in one go and appended as
one: the same code then runs for all of it while it is warm in the processor, which costs half of what it costs between
other work, and there is one append to wait for.
"""

import asyncio
import time
from typing import TypeAlias

import msgspec

from ingest_api.errors import ApiError
from ingest_api.events.answers import Accepted, event_refused
from ingest_api.events.intake import Intake
from ingest_api.events.payload import decode_event
from ingest_api.events.reception import arrival_time, rows_of, take_in_alone
from ingest_api.events.stream import EventStream
from ingest_api.events.warnings import Notice
from ingest_api.metrics import IngestMetrics
from ingest_api.raw_answers import Answer, Asked
from warehouse.raw_events import RawEvent, RejectedEvent

# After this much other requests get their turn.
_TURN_SECONDS = 0.005
_TURN_BYTES = 1024 * 1024

_encoder = msgspec.json.Encoder()


_Judged: TypeAlias = tuple[RawEvent | RejectedEvent, list[Notice], str, asyncio.Future[Answer]]
"""Row, notices, source and answer of one request."""


class Singles:
    """Takes in single events. For one event loop."""

    def __init__(self, intake: Intake, stream: EventStream, metrics: IngestMetrics) -> None:
        self._intake = intake
        self._stream = stream
        self._metrics = metrics
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []

    def take_in(self, asked: Asked) -> asyncio.Future[Answer]:
        """The answer to a request, once the event is on disk, accepted or rejected.

        Fails with:
            InputInvalid: the body cannot be read, or the event was rejected.
            StreamAway: the event is not known to be on disk; the client has to send it again.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._take_turn)
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((asked, answer))
        return answer

    def _take_turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        received_at = arrival_time()
        judged: list[_Judged] = []
        size, turn_ends = 0, time.monotonic() + _TURN_SECONDS
        for place, (asked, answer) in enumerate(waiting):
            if size > _TURN_BYTES or (place and not place % 16 and time.monotonic() > turn_ends):
                self._waiting = waiting[place:]
                asyncio.get_running_loop().call_soon(self._take_turn)
                break
            size += len(asked.body)
            try:
                single = decode_event(asked.body)
                row, notices = take_in_alone(single, asked.source, received_at, self._intake, asked.sender)
            except Exception as error:
                _fail(answer, error)
            else:
                judged.append((row, notices, asked.source, answer))
        if judged:
            self._append(judged)

    def _append(self, judged: list[_Judged]) -> None:
        accepted = [row for row, _, _, _ in judged if isinstance(row, RawEvent)]
        rejected = [row for row, _, _, _ in judged if isinstance(row, RejectedEvent)]
        try:
            stored = self._stream.append(rows_of(accepted, rejected))
        except ApiError as error:
            for _, _, _, answer in judged:
                _fail(answer, error)
        else:
            stored.add_done_callback(lambda stored: self._answer(judged, stored.exception()))

    def _answer(self, judged: list[_Judged], error: BaseException | None) -> None:
        accepted: dict[str, int] = {}
        for row, notices, source, answer in judged:
            if error is not None:
                _fail(answer, error)
            elif isinstance(row, RejectedEvent):
                self._metrics.rejected(source, row.code)
                _fail(answer, event_refused(row))
            else:
                accepted[source] = accepted.get(source, 0) + 1
                if not answer.done():
                    body = _encoder.encode(Accepted(row.event_id, warnings=notices or ()))
                    answer.set_result(Answer(body, 202))
        for source, events in accepted.items():
            self._metrics.accepted(source, events)


def _fail(answer: asyncio.Future[Answer], error: BaseException) -> None:
    if not answer.done():  # else its request was cancelled
        answer.set_exception(error)
