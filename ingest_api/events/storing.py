"""Putting events into `raw.events` so that each arrives, whatever fails on the way."""

import threading
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from tenacity import Retrying, retry_if_exception_type, sleep_using_event, stop_when_event_set, wait_random_exponential

from warehouse.client import Client, StatementRefused, WarehouseUnavailable, connect, warehouse_errors
from warehouse.config import WarehouseSettings

_INSERT_SECONDS = 60
_IDS_PER_QUERY = 1000
# The clocks of Valkey and ClickHouse may differ; a row is never older than its entry by more than this.
_CLOCK_SKEW = timedelta(hours=1)
# What ClickHouse answers when it cannot read a row: 6, 26, 27, 33, 38, 41, 72 cannot parse, 53 wrong type, 69 and 321
# out of range, 117 incorrect data, 131 string too large, 349 null, 469 constraint violated. Any other refusal is about
# the table or the user, and bisecting would bury good rows.
_DATA_CODES = frozenset({6, 26, 27, 33, 38, 41, 53, 69, 72, 117, 131, 321, 349, 469})
_SETTINGS = {
    "async_insert": 0,
    "date_time_input_format": "best_effort",
    "distributed_foreground_insert": 1,
    "input_format_skip_unknown_fields": 0,
}

log = structlog.get_logger(__name__)


class GivenUp(Exception):
    """The flusher is stopping while the warehouse does not take the rows; they stay in the stream."""


class _Identity(msgspec.Struct):
    event_id: str


_identity = msgspec.json.Decoder(_Identity)


class EventTable:
    """The table `raw.events`. Connects when first used, and again after an error."""

    def __init__(self, settings: WarehouseSettings) -> None:
        self._settings = settings
        self._table = f"`{settings.database('raw')}`.events"
        self._client: Client | None = None

    def insert(self, lines: Sequence[bytes]) -> None:
        """Insert rows in one part, all or none.

        Raises:
            WarehouseUnavailable: whether the rows are stored is unknown.
            StatementRefused: none is stored.
        """
        with warehouse_errors():
            # The driver sends a body given as bytes a second time when the connection breaks, although the first may
            # have been stored. It cannot do that with an iterator.
            self._connected().raw_insert(
                self._table, insert_block=_once(b"".join(lines)), settings=_SETTINGS, fmt="JSONEachRow"
            )

    def stored(self, event_ids: Sequence[str], since: datetime) -> set[str]:
        """Which of these events arrived in the table since then; errors as for `insert`."""
        found: set[str] = set()
        query = (
            f"SELECT event_id FROM {self._table} "  # noqa: S608
            "WHERE inserted_at >= fromUnixTimestamp64Milli(%(since_ms)s) AND event_id IN %(ids)s"
        )
        since_ms = int(since.timestamp() * 1000)
        for start in range(0, len(event_ids), _IDS_PER_QUERY):
            with warehouse_errors():
                answer = self._connected().query(
                    query,
                    parameters={"since_ms": since_ms, "ids": tuple(event_ids[start : start + _IDS_PER_QUERY])},
                    settings={"max_query_size": 4_000_000},
                )
            found.update(row[0] for row in answer.result_rows)
        return found

    def close(self) -> None:
        """Close the connection, if any."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._settings, timeout_seconds=_INSERT_SECONDS)
        return self._client


class Storing:
    """Stores batches, waiting out what passes and setting aside what never will."""

    def __init__(self, table: EventTable, bury: Callable[[bytes, str], None], stopping: threading.Event) -> None:
        """`bury` keeps one refused line with the reason; `stopping` ends the waiting."""
        self._table = table
        self._bury = bury
        self._stopping = stopping

    def store(self, lines: list[bytes], written_since: datetime, is_doubtful: bool) -> None:
        """Return when each line is in the table or buried.

        Args:
            lines: rows of `raw.events` as JSON.
            written_since: aware time of the oldest of them in the stream.
            is_doubtful: whether some may be in the table already.

        Raises:
            GivenUp: stopping came first.
        """
        attempt = _Attempt(self._table, lines, written_since - _CLOCK_SKEW, is_doubtful)
        waiting = Retrying(
            retry=retry_if_exception_type(_NotNow),
            wait=wait_random_exponential(multiplier=0.2, max=10),
            sleep=sleep_using_event(self._stopping),
            stop=stop_when_event_set(self._stopping),
            reraise=True,
        )
        try:
            waiting(attempt)
        except _NotNow as error:
            raise GivenUp from error
        except StatementRefused as error:
            if len(attempt.lines) == 1:
                log.error("event_refused_by_warehouse", reason=str(error), code=error.code)
                self._bury(attempt.lines[0], str(error))
                return
            # All or none: nothing of a refused batch is stored, so its halves can be tried apart.
            middle = len(attempt.lines) // 2
            self.store(attempt.lines[:middle], written_since, False)
            self.store(attempt.lines[middle:], written_since, False)


class _NotNow(Exception):
    """The warehouse may take the rows later."""


class _Attempt:
    """Inserting one batch, each time without the rows that an attempt with an unknown end has stored."""

    def __init__(self, table: EventTable, lines: list[bytes], since: datetime, is_doubtful: bool) -> None:
        self.lines = lines
        self._table = table
        self._since = since
        self._is_doubtful = is_doubtful

    def __call__(self) -> None:
        try:
            if self._is_doubtful:
                self._keep_missing()
            if self.lines:
                self._table.insert(self.lines)
        except WarehouseUnavailable as error:
            self._is_doubtful = True
            self._table.close()
            log.warning("warehouse_unavailable", events=len(self.lines), reason=str(error))
            raise _NotNow from error
        except StatementRefused as error:
            if error.code in _DATA_CODES:
                raise
            log.error("insert_refused", events=len(self.lines), reason=str(error), code=error.code)
            raise _NotNow from error

    def _keep_missing(self) -> None:
        by_line = [(line, _event_id(line)) for line in self.lines]
        ids = sorted({event_id for _, event_id in by_line if event_id is not None})
        stored = self._table.stored(ids, self._since)
        self.lines = [line for line, event_id in by_line if event_id not in stored]
        # What is missing now may still be on its way in the statement that broke off. It then comes twice, with one id.
        log.info("unknown_outcome_checked", events=len(by_line), missing=len(self.lines))


def utc(seconds: float) -> datetime:
    """Aware time of a Valkey clock reading."""
    return datetime.fromtimestamp(seconds, UTC)


def _event_id(line: bytes) -> str | None:
    try:
        return _identity.decode(line).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _once(body: bytes) -> Generator[bytes, None, None]:
    yield body
