"""Reading `raw.events` again, a part at a time, in the order in which the rows came in."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from warehouse.client import AsyncClient, warehouse_errors
from warehouse.raw_events import RawEvent

COLUMNS = tuple(field.name for field in msgspec.structs.fields(RawEvent))
"""All columns of the table but `inserted_at`, which the server sets."""

_ROWS = 2000
_REMEMBERED_IDS = 100_000
# A row is inserted after it was received, but for the difference of two clocks.
_CLOCK_SKEW = timedelta(hours=1)

# Rows that come in later are left out, among them those that this very command brings.
_WINDOW = """
FROM {raw:Identifier}.events
WHERE received_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND received_at < fromUnixTimestamp64Milli({to_ms:Int64})
    AND inserted_at <= fromUnixTimestamp64Milli({until_ms:Int64})
    AND ({event_name:String} = '' OR event_name = {event_name:String})
    AND ({source:String} = '' OR source = {source:String})
"""
_COUNT = f"SELECT count() {_WINDOW} AND inserted_at >= fromUnixTimestamp64Milli({{after_ms:Int64}})"
_NOW = "SELECT toUnixTimestamp64Milli(now64(3))"
_PART = f"""
SELECT {", ".join(COLUMNS)}, toUnixTimestamp64Milli(inserted_at)
{_WINDOW}
    AND inserted_at >= fromUnixTimestamp64Milli({{after_ms:Int64}})
    AND (inserted_at, event_id) > (fromUnixTimestamp64Milli({{after_ms:Int64}}), {{after_id:String}})
ORDER BY inserted_at, event_id
LIMIT {_ROWS}
"""


@dataclass(frozen=True, slots=True)
class Window:
    """Events received from `start` until before `end` (aware); empty text means any name, any source."""

    start: datetime
    end: datetime
    event_name: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows of the table."""

    rows: int
    """How many were read."""
    events: list[RawEvent]
    """Those of them whose event id was not read before, as far as it is remembered."""


class StoredEvents:
    """The stored events of one window. Every method may raise `WarehouseUnavailable` or `StatementRefused`."""

    def __init__(self, client: AsyncClient, raw_database: str, window: Window) -> None:
        self._client = client
        self._seen = _RecentIds()
        self._after = _milliseconds(window.start - _CLOCK_SKEW), ""
        self._parameters: dict[str, Any] = {
            "raw": raw_database,
            "from_ms": _milliseconds(window.start),
            "to_ms": _milliseconds(window.end),
            "event_name": window.event_name,
            "source": window.source,
        }

    async def count(self) -> int:
        """How many rows there are now; only these are read, once this was called."""
        [[now]] = await self._rows(_NOW, {})
        self._parameters["until_ms"] = now
        [[count]] = await self._rows(_COUNT, {"after_ms": self._after[0]})
        return int(count)

    async def parts(self) -> AsyncIterator[Part]:
        """The rows, oldest first, some thousands at a time. After an error another call goes on where it came."""
        while rows := await self._rows(_PART, {"after_ms": self._after[0], "after_id": self._after[1]}):
            events = [RawEvent(*row[:-1]) for row in rows]
            yield Part(len(rows), [event for event in events if self._seen.add(event.event_id)])
            self._after = rows[-1][-1], events[-1].event_id

    async def _rows(self, sql: str, parameters: dict[str, Any]) -> list[Any]:
        with warehouse_errors():
            answer = await self._client.query(sql, parameters=self._parameters | parameters)
        return list(answer.result_rows)


class _RecentIds:
    """The last 100,000 to 200,000 ids: an event that was sent or stored again mostly came soon after the first."""

    def __init__(self) -> None:
        self._now: set[str] = set()
        self._before: set[str] = set()

    def add(self, event_id: str) -> bool:
        """Remember an id; False when it is remembered already."""
        if event_id in self._now or event_id in self._before:
            return False
        if len(self._now) >= _REMEMBERED_IDS:
            self._before, self._now = self._now, set()
        self._now.add(event_id)
        return True


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
