"""Posting batches of events to the API until it has answered for each event."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from command_line.api_connection import ApiAway, ApiConnection, FieldError, Problem, problem_in

_BATCH_PATH = "/api/analytics/track/batch"
_TOO_LARGE = 413
_INVALID = 400
_ACCEPTED = 202
_PLACE = re.compile(r"events\[(\d+)\]\.?(.*)")

_encoder = msgspec.json.Encoder(decimal_format="number")


class PostingFailed(Exception):
    """The API refuses to talk at all, or did not come back in time."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the API refused one event; `index` is its place in what was posted."""

    index: int
    code: str
    field: str
    message: str


class _Count(msgspec.Struct):
    rejected: int


class _Verdict(msgspec.Struct):
    index: int
    status: str
    code: str = ""
    field: str = ""
    message: str = ""


class _BatchVerdict(msgspec.Struct):
    events: list[_Verdict]


_count = msgspec.json.Decoder(_Count)
_batch_verdict = msgspec.json.Decoder(_BatchVerdict)


class EventPoster:
    """Posts to one API with one key; may be used from several threads."""

    def __init__(self, url: str, key: str, patience_seconds: float, connections: int) -> None:
        """`patience_seconds` bounds how long one batch is tried again while the API is away."""
        self._api = ApiConnection(url, key, patience_seconds, connections)

    def stop(self) -> None:
        """Let posts that wait for the API give up."""
        self._api.stop()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def post(self, events: Sequence[dict[str, Any]]) -> list[Refused]:
        """Post events and return those that were refused; all others are stored.

        Sending an event again does not count it twice, since each carries its id.

        Raises:
            PostingFailed: the API did not answer for `patience_seconds`, or refuses the key.
        """
        if not events:
            return []
        try:
            response = self._api.post(_BATCH_PATH, b'{"events":' + _encoder.encode(events) + b"}")
        except ApiAway as error:
            raise PostingFailed(f"{self._api.url} does not take events: {error}") from error
        if response.status_code == _ACCEPTED:
            # Most batches are taken whole: then the verdicts need not be read.
            if not _count.decode(response.content).rejected:
                return []
            verdicts = _batch_verdict.decode(response.content).events
            return [
                Refused(one.index, one.code, one.field, one.message) for one in verdicts if one.status != "accepted"
            ]
        problem = problem_in(response)
        if response.status_code == _TOO_LARGE:
            return self._post_halves(events, problem)
        if response.status_code == _INVALID and len(problem.errors) == len(events):
            return [_refused(error) for error in problem.errors]
        raise PostingFailed(f"{self._api.url} refuses the events: {problem.detail} ({problem.code})")

    def _post_halves(self, events: Sequence[dict[str, Any]], problem: Problem) -> list[Refused]:
        if len(events) == 1:
            return [Refused(0, problem.code, "", problem.detail)]
        middle = len(events) // 2
        first, second = self.post(events[:middle]), self.post(events[middle:])
        return [*first, *(Refused(one.index + middle, one.code, one.field, one.message) for one in second)]


def _refused(error: FieldError) -> Refused:
    place = _PLACE.fullmatch(error.field)
    return Refused(int(place[1]) if place else 0, error.code or "invalid", place[2] if place else "", error.message)
