"""Rows of the audit trail: who changed a definition, when, why, and from what to what."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from flags.redis_store import Revision
from warehouse.raw_events import DefinitionChange

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, and why."""

    subject: str
    comment: str = ""


def change_row(name: str, action: str, author: Author, before: bytes, after: Revision, now: datetime) -> bytes:
    """The row of `raw.definition_changes` for a definition that becomes `after`."""
    kind, _, key = name.partition(":")
    change = DefinitionChange(
        change_id=str(uuid.uuid4()),
        kind=kind,
        key=key,
        version=after.version,
        action=action,
        actor=author.subject,
        comment=author.comment,
        before=before.decode(),
        after=after.document.decode(),
        changed_at=now,
    )
    return _encoder.encode(change) + b"\n"


def restored_row(name: str, revision: Revision) -> bytes:
    """The row for a revision whose own row was lost together with the stream that held it."""
    author = Author("", "Put back from the memory of an API process after Valkey had lost its data.")
    return change_row(name, "restored", author, b"", revision, datetime.now(UTC))
