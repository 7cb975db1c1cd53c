"""The look at `raw.events` and the stream after a run: what is there, how often, and what sent it there."""

import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.harness.load import Acknowledged
from benchmarks.harness.tracking import ATTEMPT_OF_ROW, INDEX_OF_ID
from local_stack.processes import Programs
from local_stack.startup import warehouse_settings
from warehouse.client import Client, connect

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class RawTable:
    """`raw.events` of a stack."""

    client: Client
    name: str

    def rows(self) -> int:
        """Rows in it, each id as often as it is there."""
        return self._number(f"SELECT count() FROM {self.name}")  # noqa: S608

    def seconds_until_rows(self, count: int, timeout_seconds: float = 600) -> float:
        """Wait until it has so many rows, and answer how long it took.

        Raises:
            TimeoutError: it has not.
        """
        started = time.perf_counter()
        while (rows := self.rows()) < count:
            if time.perf_counter() - started > timeout_seconds:
                raise TimeoutError(f"{self.name} has {rows:,} of {count:,} rows after {timeout_seconds:.0f} s")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - started

    def clear(self) -> None:
        """Remove all rows."""
        self.client.command(f"TRUNCATE TABLE {self.name}")

    def stored(self) -> "Stored":
        """What is in it, by the numbers that the events' ids hold."""
        figures = self.client.query(
            f"SELECT count(), uniqExact(event_id), uniqExact(event_id, {ATTEMPT_OF_ROW}) FROM {self.name}"  # noqa: S608
        )
        [(rows, events, sendings)] = figures.result_rows
        numbers: array[int] = array("I")
        query = f"SELECT DISTINCT toUInt32({INDEX_OF_ID}) FROM {self.name}"  # noqa: S608
        numbers.frombytes(self.client.raw_query(query, fmt="RowBinary"))
        return Stored(rows, events, sendings, numbers, self._deduplicated_sum())

    def _deduplicated_sum(self) -> int:
        query = f"SELECT sum(index) FROM (SELECT {INDEX_OF_ID} AS index FROM {self.name} LIMIT 1 BY event_id)"  # noqa: S608
        return self._number(query)

    def _number(self, query: str) -> int:
        [(number,)] = self.client.query(query).result_rows
        return int(number)


@dataclass(frozen=True, slots=True)
class Stored:
    """The content of `raw.events`."""

    rows: int
    events: int
    """Different ids."""
    sendings: int
    """Different pairs of an id and the sending that it came with."""
    numbers: "array[int]"
    """Of the different events, in no order."""
    deduplicated_sum: int
    """Sum of the numbers when of each id the first row is read, as the staging model does."""


@contextmanager
def raw_table(programs: Programs) -> Iterator[RawTable]:
    """Open the table of a running stack."""
    settings = warehouse_settings(programs)
    client = connect(settings)
    try:
        yield RawTable(client, f"`{settings.database('raw')}`.events")
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What was sent and acknowledged against what is stored."""

    sent: int
    """Events that were sent at least once."""
    acknowledged: int
    stored: int
    """Different ids in the table."""
    rows: int
    lost: int
    """Acknowledged and not stored."""
    foreign: int
    """Stored and never sent."""
    doubled_by_service: int
    """Rows beyond the first of one sending: the service stored what it received once more often than once."""
    doubled_by_client: int
    """Rows beyond the first of one event that came with a sending of their own."""
    is_sum_right: bool
    """Whether the numbers of the stored events, each id once, add up to what they should."""

    @property
    def problems(self) -> list[str]:
        """What breaks the promise: acknowledged is stored, stored was sent, each id is one event."""
        return [
            *([f"{self.lost} acknowledged events are not stored"] if self.lost else []),
            *([f"{self.foreign} stored events were never sent"] if self.foreign else []),
            *([] if self.is_sum_right else ["the deduplicated events do not add up"]),
        ]

    def lines(self) -> list[str]:
        """The figures as text."""
        beyond = self.rows - self.stored
        return [
            f"sent {self.sent:,}, acknowledged {self.acknowledged:,}, stored {self.stored:,} (each id once), "
            f"lost {self.lost:,}, never sent {self.foreign:,}, sum {'equal' if self.is_sum_right else 'DIFFERENT'}",
            f"rows in raw {self.rows:,}: {beyond / max(1, self.rows):.3%} twice, by resends of clients "
            f"{self.doubled_by_client:,}, by the service itself {self.doubled_by_service:,}",
        ]


def reckon(table: RawTable, acknowledged: Iterable[Acknowledged], sent: int) -> Reckoning:
    """Compare the table with what clients know; `sent` events had the numbers from 0 on."""
    stored = table.stored()
    missing = bytearray(b"\x01") * sent
    for number in stored.numbers:
        if number < sent:
            missing[number] = 0
    ranges = [(one.first, one.first + one.size) for one in acknowledged]
    return Reckoning(
        sent=sent,
        acknowledged=sum(end - start for start, end in ranges),
        stored=stored.events,
        rows=stored.rows,
        lost=sum(missing.count(1, start, end) for start, end in ranges),
        foreign=sum(number >= sent for number in stored.numbers),
        doubled_by_service=stored.rows - stored.sendings,
        doubled_by_client=stored.sendings - stored.events,
        is_sum_right=stored.deduplicated_sum == sum(stored.numbers),
    )
