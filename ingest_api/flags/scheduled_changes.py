"""Changes of flags that wait for their time, as they are kept.

A scheduled change is a definition of its own kind: versioned, audited and restored as the others are.
"""

from datetime import datetime
from typing import Any

import msgspec
import structlog

from ingest_api.flags.definitions import SCHEDULED_CHANGE, Copy, kind_of, name_of

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

    @property
    def name(self) -> str:
        """Under which name the store has it."""
        return name_of(SCHEDULED_CHANGE, self.id)


_decoder = msgspec.json.Decoder(ScheduledChange)


def scheduled_changes(copy: Copy, flag_key: str | None = None) -> list[ScheduledChange]:
    """Those that wait, of one flag or of all, the next one first."""
    waiting = []
    for name, revision in copy.snapshot.revisions.items():
        if not revision.document or kind_of(name) != SCHEDULED_CHANGE:
            continue
        try:
            waiting.append(_decoder.decode(revision.document))
        except msgspec.MsgspecError:
            # Written by another version of this service. The others must go on being made.
            log.exception("scheduled_change_unreadable", name=name)
    wanted = [one for one in waiting if flag_key in (None, one.flag_key)]
    return sorted(wanted, key=lambda one: (one.due_at, one.id))
