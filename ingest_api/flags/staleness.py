"""Flags that nobody asks for, or that answer everybody alike: candidates for removal from code and here."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flags.model import Flag
from ingest_api.flags.definitions import Copy
from ingest_api.flags.documents import StaleFlag, StaleFlags
from ingest_api.warehouse_reader import WarehouseReader, statement


async def stale_flags(warehouse: WarehouseReader, copy: Copy, days: int, now: datetime) -> StaleFlags:
    """Judge every flag by the evaluations of the last days, in which the warehouse has all but the last minute.

    Raises:
        WarehouseAway: ClickHouse does not answer.
    """
    since = now - timedelta(days=days)
    parameters: dict[str, object] = {
        "raw": warehouse.settings.database("raw"),
        "since_ms": int(since.timestamp() * 1000),
    }
    rows = await warehouse.rows(statement("ingest_api.flags", "evaluations.sql"), parameters)
    evaluated = {row["flag_key"]: row for row in rows}
    judged = [judge(flag, evaluated.get(flag.key), since, days) for flag in copy.ruleset.flags.values()]
    return StaleFlags(
        as_of=now, items=sorted((one for one in judged if one), key=lambda one: one.key), next_cursor=None
    )


def judge(flag: Flag, evaluated: Mapping[str, Any] | None, since: datetime, days: int) -> StaleFlag | None:
    """Why a flag may be stale; None when it is in use, or has changed since.

    Args:
        flag: as it is now.
        evaluated: its row of `evaluations.sql`; None when it was not evaluated.
        since: begin of the days.
        days: how many.
    """
    if flag.updated_at is None or flag.updated_at > since:
        return None
    count = evaluated["evaluation_count"] if evaluated else 0
    if evaluated and evaluated["answer_count"] > 1:
        return None
    sentence = f"Nobody asked for it in the last {days} days."
    if evaluated:
        sentence = f"It answered everybody {evaluated['answer']} in the last {days} days."
    return StaleFlag(
        key=flag.key,
        name=flag.name,
        reason="same_answer" if evaluated else "not_evaluated",
        detail=sentence,
        owner=flag.owner,
        evaluation_count=count,
        last_evaluated_at=evaluated["last_at"] if evaluated else None,
        updated_at=flag.updated_at,
    )
