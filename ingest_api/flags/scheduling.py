"""Changes of flags that wait for their time.

A scheduled change is a definition of its own kind: versioned, audited and restored as the others are. Each API process
looks for those that are due. Making one also deletes it, in one commit: of several processes one succeeds.
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
from ingest_api.flags.definitions import FLAG, SCHEDULED_CHANGE, Copy, Definitions, kind_of, name_of
from ingest_api.flags.editing import Editor, Intention, demanded, patched

_LOOK_SECONDS = 1.0
_MOST_WAITING = 1000

log = structlog.get_logger(__name__)


class ScheduledChange(msgspec.Struct, frozen=True, rename="camel"):
    """A merge patch for a flag, and when it is to be made."""

    id: str
    flag_key: str
    due_at: datetime
    patch: dict[str, Any]
    comment: str = ""
    created_by: str = ""
    failure: str = ""
    """Why it could not be made when it was due; it is not tried again."""


_decoder = msgspec.json.Decoder(ScheduledChange)


def scheduled_changes(copy: Copy) -> list[ScheduledChange]:
    """All that wait, the next one first."""
    waiting = [
        _decoder.decode(revision.document)
        for name, revision in copy.snapshot.revisions.items()
        if revision.document and kind_of(name) == SCHEDULED_CHANGE
    ]
    return sorted(waiting, key=lambda one: (one.due_at, one.id))


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
        return [one for one in scheduled_changes(self._definitions.current) if one.flag_key == flag_key]

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
        change = ScheduledChange(str(uuid.uuid4()), flag_key, due_at, patch, author.comment, author.subject)

        def judge(copy: Copy) -> list[Intention]:
            patched(copy, demanded(copy, FLAG, flag_key), patch, "updated")
            if len(scheduled_changes(copy)) >= _MOST_WAITING:
                raise Conflict(f"{_MOST_WAITING} changes are waiting already; cancel some.", code="too_many")
            return [Intention(name_of(SCHEDULED_CHANGE, change.id), "created", msgspec.to_builtins(change))]

        await self._editor.make(judge, author)
        return change

    async def cancel(self, flag_key: str, change_id: str, author: Author) -> None:
        """Give up a change that waits. Raises `NotFound`."""

        def judge(copy: Copy) -> list[Intention]:
            if not any(one.id == change_id and one.flag_key == flag_key for one in scheduled_changes(copy)):
                raise NotFound(f"No change {change_id} of {flag_key} is waiting.", code="scheduled_change_not_found")
            return [Intention(name_of(SCHEDULED_CHANGE, change_id), "deleted", None)]

        await self._editor.make(judge, author)

    async def keep_going(self) -> None:
        """Make what is due, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._seen is not self._definitions.current:
                self._seen = self._definitions.current
                self._waiting = scheduled_changes(self._seen)
            for change in self._waiting:
                if change.due_at <= self._now() and not change.failure:
                    await self._make(change)

    async def _make(self, change: ScheduledChange) -> None:
        name = name_of(SCHEDULED_CHANGE, change.id)

        def judge(copy: Copy) -> list[Intention]:
            stored = copy.snapshot.revisions.get(name)
            if stored is None or not stored.document:
                return []  # another process was faster
            flag = demanded(copy, FLAG, change.flag_key)
            return [patched(copy, flag, change.patch, "scheduled"), Intention(name, "deleted", None)]

        author = Author(change.created_by, change.comment)
        try:
            await self._editor.make(judge, author)
        except (NotFound, DefinitionInvalid) as error:
            log.warning("scheduled_change_failed", flag=change.flag_key, reason=str(error))
            failed = msgspec.to_builtins(msgspec.structs.replace(change, failure=str(error)))
            await self._note(name, failed, author)
        except ApiError as error:
            log.warning("scheduled_change_waits", flag=change.flag_key, reason=error.detail)

    async def _note(self, name: str, failed: dict[str, Any], author: Author) -> None:
        def judge(copy: Copy) -> list[Intention]:
            stored = copy.snapshot.revisions.get(name)
            return [Intention(name, "updated", failed)] if stored is not None and stored.document else []

        try:
            await self._editor.make(judge, author)
        except ApiError as error:
            log.warning("scheduled_change_waits", name=name, reason=error.detail)
