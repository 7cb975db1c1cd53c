"""Making changes of flags when their time comes.

Each API process looks for those that are due. Making one also deletes it, in one commit: of several processes one
succeeds.
"""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from flags.problems import DefinitionInvalid, Problem
from ingest_api.errors import ApiError, Conflict, NotFound
from ingest_api.flags.changes import Author
from ingest_api.flags.definitions import FLAG, Copy, Definitions
from ingest_api.flags.editing import Editor, Intention, demanded, patched
from ingest_api.flags.scheduled_changes import ScheduledChange, scheduled_changes

_LOOK_SECONDS = 1.0
_MOST_WAITING = 1000

log = structlog.get_logger(__name__)


class Scheduler:
    """Keeps scheduled changes, and makes those that are due."""

    def __init__(
        self, definitions: Definitions, editor: Editor, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._definitions = definitions
        self._editor = editor
        self._now = now
        self._seen: Copy | None = None
        self._waiting: list[ScheduledChange] = []

    def waiting(self, flag_key: str) -> list[ScheduledChange]:
        """What is scheduled for a flag, the next one first."""
        return scheduled_changes(self._definitions.current, flag_key)

    async def schedule(self, flag_key: str, due_at: datetime, patch: dict[str, Any], author: Author) -> ScheduledChange:
        """Plan a change. It is judged now, and again when it is made.

        Raises:
            DefinitionInvalid: the time has passed, or the change could not be made now.
            NotFound: there is no such flag.
            Conflict: too many changes are waiting.
            DefinitionsAway: see `Editor`.
        """
        if due_at <= self._now():
            raise DefinitionInvalid([Problem("dueAt", "out_of_range", "This time has passed; name one in the future.")])
        if "version" in patch:
            message = "Leave it out: the flag may have changed when the time comes, and the patch is made all the same."
            raise DefinitionInvalid([Problem("patch.version", "not_allowed", message)])
        change = ScheduledChange(str(uuid.uuid4()), flag_key, due_at, patch, author.comment, author.subject)

        def judge(copy: Copy) -> list[Intention]:
            patched(copy, demanded(copy, FLAG, flag_key), patch, "updated")
            if len(scheduled_changes(copy)) >= _MOST_WAITING:
                raise Conflict(f"{_MOST_WAITING} changes are waiting already; cancel some.", code="too_many")
            return [Intention(change.name, "created", msgspec.to_builtins(change))]

        await self._editor.make(judge, author)
        return change

    async def cancel(self, flag_key: str, change_id: str, author: Author) -> None:
        """Give up a change that waits. Raises `NotFound`."""

        def judge(copy: Copy) -> list[Intention]:
            found = [one for one in scheduled_changes(copy, flag_key) if one.id == change_id]
            if not found:
                raise NotFound(f"No change {change_id} of {flag_key} is waiting.", code="scheduled_change_not_found")
            return [Intention(one.name, "deleted", None) for one in found]

        await self._editor.make(judge, author)

    async def keep_going(self) -> None:
        """Make what is due, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._seen is not self._definitions.current:
                self._seen = self._definitions.current
                self._waiting = [one for one in scheduled_changes(self._seen) if not one.failure]
            for change in [one for one in self._waiting if one.due_at <= self._now()]:
                try:
                    await self._make(change)
                except ApiError as error:
                    log.warning("scheduled_change_waits", flag=change.flag_key, reason=error.detail)
                except Exception:
                    # The others must go on being made.
                    log.exception("scheduled_change_failed", flag=change.flag_key)

    async def _make(self, change: ScheduledChange) -> None:
        def judge(copy: Copy) -> list[Intention]:
            if not _waits(change, copy):
                return []  # another process was faster
            flag = demanded(copy, FLAG, change.flag_key)
            return [patched(copy, flag, change.patch, "scheduled"), Intention(change.name, "deleted", None)]

        author = Author(change.created_by, change.comment)
        try:
            await self._editor.make(judge, author)
        except (NotFound, DefinitionInvalid) as error:
            log.warning("scheduled_change_failed", flag=change.flag_key, reason=str(error))
            await self._note(msgspec.structs.replace(change, failure=str(error)), author)

    async def _note(self, failed: ScheduledChange, author: Author) -> None:
        def judge(copy: Copy) -> list[Intention]:
            return [Intention(failed.name, "updated", msgspec.to_builtins(failed))] if _waits(failed, copy) else []

        await self._editor.make(judge, author)


def _waits(change: ScheduledChange, copy: Copy) -> bool:
    stored = copy.snapshot.revisions.get(change.name)
    return stored is not None and bool(stored.document)
