"""Putting rows into the raw tables so that each arrives, and once, whatever fails on the way.

An insert carries a token, and ClickHouse drops an insert whose token the table has seen. A token alone is not enough:

- It is remembered before the part gets its name. ClickHouse killed in between forgets the rows and keeps the token, and
  no insert under it will ever store anything again. So after an insert of unknown outcome the rows are looked up, those
  that are missing are inserted under the same token, looked up again, and only what is missing then is inserted under
  the token's next name (`:r1`, `:r2` ...). The insert in between also waits out one that is still running somewhere:
  ClickHouse lets one of the two win, and only after that is "missing" an answer that stays true.
- It is remembered per partition, which is the month of the insert. Hence the look before anything is inserted again:
  under the same token, a batch of the last second of a month would come in a second time.
- Of several tables each has tokens of its own, and a batch is acknowledged after the last of them.

On a cluster the token and the part are one change in Keeper, so a token is never used up for nothing. There nothing is
looked up after the insert: a replica that lags behind would make rows look missing that are not.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

import msgspec
import structlog
from tenacity import Retrying, retry_if_exception_type, sleep_using_event, stop_when_event_set, wait_random_exponential

from ingest_api.events.batches import Batch
from ingest_api.events.entries import EVENTS, REJECTED_EVENTS
from ingest_api.events.flusher_events import FlusherObserver
from ingest_api.events.raw_tables import ID_COLUMNS, RawTables
from ingest_api.events.refused_rows import refused_event
from warehouse.client import StatementRefused, WarehouseUnavailable

# What ClickHouse answers when it cannot read a row: 6, 26, 27, 33, 38, 41, 72 cannot parse, 53 wrong type, 69 and 321
# out of range, 117 incorrect data, 131 string too large, 349 null, 469 constraint violated. Any other refusal is about
# the table or the user, and bisecting would set good rows aside.
_DATA_CODES = frozenset({6, 26, 27, 33, 38, 41, 53, 69, 72, 117, 131, 321, 349, 469})
_MAX_REPAIRS = 5
_Bury: TypeAlias = Callable[[Mapping[bytes, bytes], str], None]

log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder()
_id_decoders = {
    table: msgspec.json.Decoder(msgspec.defstruct("Identity", [(column, str)])) for table, column in ID_COLUMNS.items()
}


class GivenUp(Exception):
    """The flusher is stopping while the warehouse does not take the rows; they stay in the stream."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows that are inserted under one token."""

    table: str
    lines: bytes
    count: int
    """For the record only: what the entries say, as counting millions of lines would cost more than all else here."""
    token: str
    since: datetime
    is_doubtful: bool

    def halves(self) -> "tuple[_Rows, _Rows]":
        """Tokens of the halves are the same for everyone who divides these rows."""
        lines = self.lines.splitlines(keepends=True)
        middle = len(lines) // 2
        return self._part(lines[:middle], "0"), self._part(lines[middle:], "1")

    def _part(self, lines: list[bytes], name: str) -> "_Rows":
        return replace(self, lines=b"".join(lines), count=len(lines), token=f"{self.token}:{name}")


class Storing:
    """Stores batches, waiting out what passes and setting aside what never will."""

    def __init__(
        self,
        tables: RawTables,
        bury: _Bury,
        stopping: threading.Event,
        observer: FlusherObserver,
    ) -> None:
        """`bury` keeps what no table takes, with the reason; `stopping` ends the waiting."""
        self._tables = tables
        self._bury = bury
        self._stopping = stopping
        self._observer = observer

    def store(self, batch: Batch) -> None:
        """Return when each row is in its table, or set aside.

        Raises:
            GivenUp: stopping came first.
        """
        for table, lines in batch.tables.items():
            count = batch.events if table == EVENTS else lines.count(b"\n")
            self._store(_Rows(table, lines, count, batch.token, batch.written_since, batch.is_doubtful))

    def _store(self, rows: _Rows) -> None:
        attempt = _Attempt(self._tables, rows, self._bury, self._observer)
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
            refused = replace(rows, is_doubtful=attempt.is_doubtful)
            if refused.lines.count(b"\n") == 1:
                self._set_aside(refused, error)
                return
            # All or none: nothing of a refused insert is stored, so its halves can be tried apart.
            for half in refused.halves():
                self._store(half)

    def _set_aside(self, row: _Rows, error: StatementRefused) -> None:
        log.error("row_refused_by_warehouse", table=row.table, code=error.code, reason=str(error))
        self._observer.refused(row.table)
        if row.table != EVENTS:
            self._bury({b"table": row.table.encode(), b"line": row.lines}, str(error))
            return
        rejection = _encoder.encode(refused_event(row.lines, str(error), row.since, row.token)) + b"\n"
        self._store(replace(row, table=REJECTED_EVENTS, lines=rejection, token=f"{row.token}:refused"))


class _NotNow(Exception):
    """The warehouse may take the rows later."""


class _Attempt:
    """Inserting rows, in as many calls as it takes."""

    def __init__(self, tables: RawTables, rows: _Rows, bury: _Bury, observer: FlusherObserver) -> None:
        self.is_doubtful = rows.is_doubtful
        self._tables = tables
        self._rows = rows
        self._bury = bury
        self._observer = observer

    def __call__(self) -> None:
        try:
            if self.is_doubtful:
                self._settle()
            else:
                self._insert(self._rows.lines, self._rows.count, self._rows.token)
        except WarehouseUnavailable as error:
            self.is_doubtful = True
            self._tables.close()
            self._postpone("warehouse_unavailable", error)
        except StatementRefused as error:
            if error.code in _DATA_CODES:
                raise
            self._postpone("insert_refused", error)

    def _settle(self) -> None:
        """Store what an insert of unknown outcome has not."""
        if not self._missing():
            return
        self._insert(self._rows.lines, self._rows.count, self._rows.token)
        if self._tables.is_replicated:
            return
        for number in range(1, _MAX_REPAIRS + 1):
            if not (missing := self._missing()):
                return
            log.warning("token_was_used_up", table=self._rows.table, rows=len(missing), repair=number)
            self._insert(b"".join(missing), len(missing), f"{self._rows.token}:r{number}")
            self._observer.repaired(self._rows.table, len(missing))
        for line in self._missing():
            self._bury({b"table": self._rows.table.encode(), b"line": line}, "ClickHouse confirms and does not show it")

    def _insert(self, lines: bytes, count: int, token: str) -> None:
        started = time.monotonic()
        self._tables.insert(self._rows.table, lines, token)
        self._observer.inserted(self._rows.table, count, time.monotonic() - started)

    def _missing(self) -> list[bytes]:
        """Rows whose ids are not in the table; one whose id cannot be read is refused by the table itself."""
        lines = self._rows.lines.splitlines(keepends=True)
        by_line = [(line, _row_id(self._rows.table, line)) for line in lines]
        ids = sorted({row_id for _, row_id in by_line if row_id is not None})
        stored = self._tables.stored(self._rows.table, ids, self._rows.since)
        missing = [line for line, row_id in by_line if row_id not in stored]
        log.info("unknown_outcome_checked", table=self._rows.table, rows=len(lines), missing=len(missing))
        return missing

    def _postpone(self, event: str, error: Exception) -> None:
        self._observer.postponed(self._rows.table)
        log.warning(event, table=self._rows.table, rows=self._rows.count, reason=str(error))
        raise _NotNow from error


def _row_id(table: str, line: bytes) -> str | None:
    try:
        row_id: str = getattr(_id_decoders[table].decode(line), ID_COLUMNS[table])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return row_id
