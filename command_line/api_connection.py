"""Requests to the API that wait while it is away, and its refusals in words."""

import threading
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

_TRY_AGAIN = frozenset({429, 502, 503, 504})


class ApiAway(Exception):
    """The API did not answer in time; the message says why, as far as it is known."""


class FieldError(msgspec.Struct):
    """One wrong field of a request."""

    field: str
    message: str
    code: str = ""


class Problem(msgspec.Struct):
    """The body of an error answer."""

    code: str
    detail: str
    errors: list[FieldError] = []


class ApiConnection:
    """Connections to one API with one credential; may be used from several threads."""

    def __init__(self, url: str, credential: str, patience_seconds: float, connections: int = 1) -> None:
        """`patience_seconds` bounds how long one request is tried again while the API is away."""
        self.url = url
        self._patience_seconds = patience_seconds
        self._stopping = threading.Event()
        self._client = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {credential}"},
            timeout=httpx.Timeout(60, connect=5),
            limits=httpx.Limits(max_connections=connections),
            trust_env=False,
        )

    def stop(self) -> None:
        """Let requests that wait for the API give up."""
        self._stopping.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Ask for `path`; members of `query` that are None are left out. Raises `ApiAway`."""
        params = {name: value for name, value in query.items() if value is not None}
        return self._request("GET", path, params=params)

    def post(self, path: str, body: bytes, **query: Any) -> httpx.Response:
        """Send JSON, and send it again while the API is away, so that it may arrive twice. Raises `ApiAway`."""
        return self._request("POST", path, params=query, content=body, headers={"content-type": "application/json"})

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        retrying = Retrying(
            retry=retry_if_exception_type((_TryAgain, httpx.TransportError)),
            wait=_wait,
            stop=stop_after_delay(self._patience_seconds) | stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            reraise=True,
        )
        try:
            return retrying(self._send, method, path, **arguments)
        except (_TryAgain, httpx.TransportError) as error:
            raise ApiAway(str(error) or type(error).__name__) from error

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = self._client.request(method, path, **arguments)
        if response.status_code in _TRY_AGAIN:
            after = response.headers.get("retry-after", "")
            raise _TryAgain(problem_in(response).detail, float(after) if after.isdigit() else 0.0)
        return response


def problem_in(response: httpx.Response) -> Problem:
    """What an error answer says; one that is not of this API is named by its status."""
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        return Problem(f"http_{response.status_code}", f"HTTP {response.status_code} {response.reason_phrase}")


class _TryAgain(Exception):
    def __init__(self, reason: str, after_seconds: float) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


def _wait(state: RetryCallState) -> float:
    """What the API asks for, else exponential with jitter up to 5 seconds."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after_seconds if isinstance(error, _TryAgain) else 0.0
    return max(asked, wait_random_exponential(multiplier=0.2, max=5)(state))
