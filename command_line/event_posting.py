"""Posting batches of events to the API until it has answered for each event."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

_BATCH_PATH = "/api/analytics/track/batch"
_TRY_AGAIN = frozenset({429, 502, 503, 504})
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


class _Verdict(msgspec.Struct):
    index: int
    status: str
    code: str = ""
    field: str = ""
    message: str = ""


class _BatchVerdict(msgspec.Struct):
    events: list[_Verdict]


class _FieldError(msgspec.Struct):
    field: str
    message: str
    code: str = ""


class _Problem(msgspec.Struct):
    code: str
    detail: str
    errors: list[_FieldError] = []


class _TryAgain(Exception):
    def __init__(self, reason: str, after_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class EventPoster:
    """Posts to one API with one key; may be used from several threads."""

    def __init__(self, url: str, key: str, patience_seconds: float, connections: int) -> None:
        """`patience_seconds` bounds how long one batch is tried again while the API is away."""
        self._patience_seconds = patience_seconds
        self._stopping = threading.Event()
        self._client = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(60, connect=5),
            limits=httpx.Limits(max_connections=connections),
            trust_env=False,
        )

    def stop(self) -> None:
        """Let posts that wait for the API give up."""
        self._stopping.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, events: Sequence[dict[str, Any]]) -> list[Refused]:
        """Post events and return those that were refused; all others are stored.

        Sending an event again does not count it twice, since each carries its id.

        Raises:
            PostingFailed: the API did not answer for `patience_seconds`, or refuses the key.
        """
        if not events:
            return []
        body = b'{"events":' + _encoder.encode(events) + b"}"
        retrying = Retrying(
            retry=retry_if_exception_type((_TryAgain, httpx.TransportError)),
            wait=_wait,
            stop=stop_after_delay(self._patience_seconds) | stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            reraise=True,
        )
        try:
            response = retrying(self._send, body)
        except (_TryAgain, httpx.TransportError) as error:
            reason = str(error) or type(error).__name__
            raise PostingFailed(f"{self._client.base_url} does not take events: {reason}") from error
        if response.status_code == _ACCEPTED:
            verdicts = msgspec.json.decode(response.content, type=_BatchVerdict).events
            return [
                Refused(one.index, one.code, one.field, one.message) for one in verdicts if one.status != "accepted"
            ]
        problem = _problem(response)
        if response.status_code == _TOO_LARGE:
            return self._post_halves(events, problem)
        if response.status_code == _INVALID and len(problem.errors) == len(events):
            return [_refused(error) for error in problem.errors]
        raise PostingFailed(f"{self._client.base_url} refuses the events: {problem.detail} ({problem.code})")

    def _send(self, body: bytes) -> httpx.Response:
        response = self._client.post(_BATCH_PATH, content=body, headers={"content-type": "application/json"})
        if response.status_code in _TRY_AGAIN:
            after = response.headers.get("retry-after", "")
            raise _TryAgain(_problem(response).detail, float(after) if after.isdigit() else 0.0)
        return response

    def _post_halves(self, events: Sequence[dict[str, Any]], problem: _Problem) -> list[Refused]:
        if len(events) == 1:
            return [Refused(0, problem.code, "", problem.detail)]
        middle = len(events) // 2
        first, second = self.post(events[:middle]), self.post(events[middle:])
        return [*first, *(Refused(one.index + middle, one.code, one.field, one.message) for one in second)]


def _wait(state: RetryCallState) -> float:
    """What the API asks for, else exponential with jitter up to 5 seconds."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after_seconds if isinstance(error, _TryAgain) else 0.0
    return max(asked, wait_random_exponential(multiplier=0.2, max=5)(state))


def _problem(response: httpx.Response) -> _Problem:
    try:
        return msgspec.json.decode(response.content, type=_Problem)
    except msgspec.MsgspecError:
        return _Problem(f"http_{response.status_code}", f"HTTP {response.status_code} {response.reason_phrase}")


def _refused(error: _FieldError) -> Refused:
    place = _PLACE.fullmatch(error.field)
    return Refused(int(place[1]) if place else 0, error.code or "invalid", place[2] if place else "", error.message)
