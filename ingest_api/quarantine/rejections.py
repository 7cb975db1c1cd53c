"""Reading the quarantine: which events were rejected, why, and which of them were taken in after all."""

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self, TypeAlias

import msgspec

from ingest_api.errors import FieldError, InputInvalid, NotFound
from ingest_api.warehouse_reader import WarehouseReader, statement
from warehouse.raw_events import FRESHNESS_PROBE

Status: TypeAlias = Literal["waiting", "replayed"]
AskedStatus: TypeAlias = Literal["waiting", "replayed", "all"]
PREVIEW_CHARACTERS = 200
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Moments between which a filter can look: what the warehouse holds."""

_MILLISECOND = timedelta(milliseconds=1)
# A payload has up to 256 KiB, and all of a group are in memory at once. The ids of a group stand in an address.
_GROUP = 100


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rejections are meant; empty text means any. `since` is inclusive, `until` is not; both are aware."""

    code: str = ""
    source: str = ""
    event_name: str = ""
    since: datetime = EARLIEST
    until: datetime = LATEST

    def parameters(self) -> dict[str, object]:
        """As the SQL files name them."""
        return {
            "code": self.code,
            "source": self.source,
            "event_name": self.event_name,
            "since_ms": _milliseconds(self.since),
            "until_ms": _milliseconds(self.until),
        }


@dataclass(frozen=True, slots=True)
class Position:
    """The last rejection of a page; the next page begins behind it."""

    received_at: datetime
    rejection_id: str

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Read what `text` has written; raises `InputInvalid`."""
        try:
            milliseconds, rejection_id = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[int, str])
            return cls(EARLIEST + milliseconds * _MILLISECOND, rejection_id)
        except (binascii.Error, ValueError, OverflowError, msgspec.MsgspecError) as error:
            wrong = FieldError("cursor", "is not a nextCursor that this API gave")
            raise InputInvalid(f"cursor {wrong.message}.", errors=[wrong]) from error

    def text(self) -> str:
        """Opaque text for `nextCursor`."""
        return base64.urlsafe_b64encode(
            msgspec.json.encode((_milliseconds(self.received_at), self.rejection_id))
        ).decode()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What is needed to try one rejection again."""

    rejection_id: str
    event_id: str
    event_name: str
    payload: str
    is_complete: bool
    source: str
    received_at: datetime


class Quarantine:
    """The rejected events of one environment. Every method may raise `WarehouseAway`."""

    def __init__(self, warehouse: WarehouseReader) -> None:
        self._warehouse = warehouse

    async def page(
        self, chosen: Filter, status: AskedStatus, limit: int, after: Position | None
    ) -> tuple[list[dict[str, Any]], Position | None]:
        """Up to `limit` rejections, newest first, as columns of `page.sql`, and where the next page begins."""
        before = after or Position(LATEST, "")
        found = await self._rows(
            "page.sql",
            **chosen.parameters(),
            status=status,
            before_ms=_milliseconds(before.received_at),
            before_id=before.rejection_id,
            # One more than asked for tells whether there is a next page.
            limit=limit + 1,
            preview_characters=PREVIEW_CHARACTERS,
        )
        rows = found[:limit]
        is_more = len(found) > limit
        return rows, Position(rows[-1]["received_at"], rows[-1]["rejection_id"]) if is_more else None

    async def one(self, rejection_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """One rejection with its whole payload, and what was tried with it.

        Raises:
            NotFound: there is none with this id.
        """
        found = await self._rows("rejection.sql", rejection_id=rejection_id)
        if not found:
            raise NotFound(f"No rejection has the id {rejection_id}; one of the last seconds may still be on its way.")
        return found[0], await self._rows("attempts.sql", rejection_id=rejection_id)

    async def summary(self, since: datetime, until: datetime) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Counts of rejections by code and source, and of accepted events by source, received in a span of time.

        The events of the freshness probe do not count.
        """
        span = {"since_ms": _milliseconds(since), "until_ms": _milliseconds(until)}
        reasons = await self._rows("summary.sql", **span)
        accepted = await self._rows("accepted.sql", **span, probe=FRESHNESS_PROBE)
        return reasons, {row["source"]: row["accepted_count"] for row in accepted}

    async def with_payloads(self, rejection_ids: Sequence[str]) -> AsyncIterator[list[Quarantined | str]]:
        """The rejections in the given order, some at a time; for an id that does not exist, the id."""
        for start in range(0, len(rejection_ids), _GROUP):
            group = list(rejection_ids[start : start + _GROUP])
            rows = await self._rows("payloads.sql", rejection_ids=group)
            found = {row["rejection_id"]: Quarantined(**row) for row in rows}
            yield [found.get(rejection_id, rejection_id) for rejection_id in group]

    async def _rows(self, sql_file: str, **parameters: object) -> list[dict[str, Any]]:
        raw = self._warehouse.settings.database("raw")
        return await self._warehouse.rows(statement("ingest_api.quarantine", sql_file), {"raw": raw, **parameters})


def _milliseconds(moment: datetime) -> int:
    return (moment - EARLIEST) // _MILLISECOND
