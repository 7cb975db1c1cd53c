"""Changing definitions: each change is judged by what is stored at this moment, and is made whole or not at all.

Two who change at once cannot overwrite each other: who names the version that was seen and comes second is refused, and
a change that names none is judged again by what the first has left.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from flags.codec import decode_flag, decode_segment, encode_flag, encode_segment
from flags.experiment_codec import decode_experiment, encode_experiment
from flags.experiment_model import Experiment
from flags.model import Flag, Segment
from flags.problems import DefinitionInvalid, Problem
from flags.redis_store import OutcomeUnknown, Revision
from flags.references import check_references, flags_needing, flags_using
from flags.rule_codec import moment_text
from ingest_api.errors import Conflict, DefinitionsAway, NotFound
from ingest_api.events.reception import arrival_time
from ingest_api.flags.changes import Author, change_row
from ingest_api.flags.definitions import EXPERIMENT, FLAG, SEGMENT, Copy, Definition, Definitions, name_of
from ingest_api.flags.scheduled_changes import scheduled_changes

RESERVED_KEYS = frozenset({"stale"})
"""Keys that no flag may have: their address is another one's."""
_ATTEMPTS = 20
_KINDS: Mapping[type, str] = {Flag: FLAG, Segment: SEGMENT, Experiment: EXPERIMENT}
_UNDER_WAY = ("running", "paused")


@dataclass(frozen=True, slots=True)
class Intention:
    """What one definition is to become."""

    name: str
    action: str
    """See `raw.definition_changes`."""
    document: Mapping[str, Any] | None
    """Without its version; None deletes it."""


Judge: TypeAlias = Callable[[Copy], Iterable[Intention]]
"""What is to be changed, given what is stored. It raises when the change is not allowed."""


class Editor:
    """Makes changes. Every method raises `DefinitionsAway` when Valkey cannot confirm that the change was made."""

    def __init__(self, definitions: Definitions, now: Callable[[], datetime] = arrival_time) -> None:
        self._definitions = definitions
        self._now = now
        self._making = asyncio.Lock()

    async def current(self) -> Copy:
        """What is stored now, not a moment ago."""
        if not await self._definitions.refresh():
            raise DefinitionsAway("Valkey does not answer, so definitions cannot be changed; they are still evaluated.")
        if not self._definitions.is_kept:
            raise DefinitionsAway("Valkey has lost the definitions, and they are not restored from ClickHouse yet.")
        return self._definitions.current

    async def make(self, judge: Judge, author: Author) -> Copy:
        """Make the changes that `judge` wants, all or none, and return what is stored then.

        Raises:
            Conflict: others change definitions faster than this one can be judged.
        """
        # Changes of one process wait for each other: only another's can come between.
        async with self._making:
            for _ in range(_ATTEMPTS):
                copy, now = await self.current(), self._now()
                revisions = {one.name: _revision(copy, one, author, now) for one in judge(copy)}
                if not revisions:
                    return copy
                try:
                    if await self._definitions.store.commit(copy.snapshot, revisions):
                        await self._definitions.refresh()
                        return self._definitions.current
                except OutcomeUnknown as error:
                    raise DefinitionsAway(
                        "Valkey did not confirm the change. Read the definition to see whether it was made."
                    ) from error
        raise Conflict("Others are changing definitions at the same time; try again.", code="busy")

    async def create(self, definition: Definition, author: Author) -> Copy:
        """Add a definition under a key that is free."""

        def judge(copy: Copy) -> list[Intention]:
            if found(copy, definition) is not None:
                message = f"There is a {kind_of(definition)} {definition.key} already; change it, or take another key."
                raise Conflict(message, code="key_taken")
            _check(copy, definition)
            return [Intention(name_of(kind_of(definition), definition.key), "created", encoded(definition))]

        return await self.make(judge, author)

    async def replace(self, definition: Definition, expected_version: int | None, author: Author) -> Copy:
        """Put another definition in the place of the one with its key; `expected_version` is the one that was seen."""

        def judge(copy: Copy) -> list[Intention]:
            stored = demanded(copy, kind_of(definition), definition.key)
            check_version(definition.key, stored.version, expected_version)
            return [updated(copy, definition, stored, "updated")]

        return await self.make(judge, author)

    async def put_back(self, definition: Definition, expected_version: int | None, author: Author) -> Copy:
        """Make a definition what it was, also one that was deleted."""

        def judge(copy: Copy) -> list[Intention]:
            name = name_of(kind_of(definition), definition.key)
            check_version(definition.key, copy.snapshot.revisions[name].version, expected_version)
            stored = found(copy, definition)
            if stored is None:
                _check(copy, definition)
                return [Intention(name, "reverted", encoded(definition))]
            return [updated(copy, definition, stored, "reverted")]

        return await self.make(judge, author)

    async def patch(
        self, kind: str, key: str, patch: Mapping[str, Any], expected_version: int | None, author: Author
    ) -> Copy:
        """Change some members of a definition by a JSON merge patch (RFC 7396)."""

        def judge(copy: Copy) -> list[Intention]:
            stored = demanded(copy, kind, key)
            check_version(key, stored.version, expected_version)
            return [patched(copy, stored, patch, "updated")]

        return await self.make(judge, author)

    async def delete(self, kind: str, key: str, expected_version: int | None, author: Author) -> Copy:
        """Remove a definition that no other one needs."""

        def judge(copy: Copy) -> list[Intention]:
            stored = demanded(copy, kind, key)
            check_version(key, stored.version, expected_version)
            return deletions(copy, kind, key, copy.ruleset.flags)

        return await self.make(judge, author)


def kind_of(definition: Definition) -> str:
    """The kind of a definition."""
    return _KINDS[type(definition)]


def decoded(kind: str, document: Any) -> Definition:
    """Read a document of this kind. Raises `DefinitionInvalid`."""
    if kind != FLAG:
        return decode_segment(document) if kind == SEGMENT else decode_experiment(document)
    flag = decode_flag(document)
    if flag.key in RESERVED_KEYS:
        raise DefinitionInvalid([Problem("key", "not_allowed", "This key is the address of something else.")])
    return flag


def encoded(definition: Definition) -> dict[str, Any]:
    """A definition as a document."""
    if isinstance(definition, Experiment):
        return encode_experiment(definition)
    return encode_flag(definition) if isinstance(definition, Flag) else encode_segment(definition)


def stored_of(copy: Copy, kind: str) -> Mapping[str, Definition]:
    """The stored definitions of a kind, by key."""
    if kind == EXPERIMENT:
        return copy.experiments
    return copy.ruleset.flags if kind == FLAG else copy.ruleset.segments


def found(copy: Copy, like: Definition) -> Definition | None:
    """The stored definition with the kind and key of this one."""
    return stored_of(copy, kind_of(like)).get(like.key)


def demanded(copy: Copy, kind: str, key: str) -> Definition:
    """The stored definition. Raises `NotFound`."""
    definition = stored_of(copy, kind).get(key)
    if definition is None:
        raise NotFound(f"There is no {kind} {key}.", code=f"{kind}_not_found")
    return definition


def check_version(key: str, stored: int, expected: int | None) -> None:
    """Raise `Conflict` when the caller has seen another version than the stored one; None has seen none."""
    if expected is not None and expected != stored:
        raise Conflict(
            f"{key} is at version {stored} now, not {expected}: somebody changed it meanwhile. "
            "Read it and make your change again.",
            code="version_stale",
        )


def deletions(copy: Copy, kind: str, key: str, staying: Mapping[str, Flag]) -> list[Intention]:
    """What goes when a definition is deleted: itself, and what is scheduled for it.

    Raises:
        Conflict: a flag that stays needs it, or an experiment that has begun and not ended.
    """
    users = [] if kind == EXPERIMENT else (flags_needing if kind == FLAG else flags_using)(key, staying)
    if kind == FLAG:
        users += [f"experiment {one.key}" for one in experiments_showing(copy, key)]
    if users:
        message = f"{kind} {key} is needed by {', '.join(sorted(users))}; change that first."
        raise Conflict(message, code="in_use")
    scheduled = scheduled_changes(copy, key) if kind == FLAG else []
    return [Intention(name, "deleted", None) for name in (name_of(kind, key), *(one.name for one in scheduled))]


def experiments_showing(copy: Copy, flag_key: str) -> list[Experiment]:
    """The experiments that have begun and not ended, whose variants this flag shows."""
    return [one for one in copy.experiments.values() if one.flag_key == flag_key and one.status in _UNDER_WAY]


def patched(copy: Copy, stored: Definition, patch: Mapping[str, Any], action: str) -> Intention:
    """A merge patch, applied to a definition."""
    return updated(copy, merged(stored, patch), stored, action)


def merged(stored: Definition, patch: Mapping[str, Any]) -> Definition:
    """What a merge patch makes of a definition. Raises `DefinitionInvalid`."""
    name = "id" if isinstance(stored, Experiment) else "key"
    if name in patch and patch[name] != stored.key:
        message = f"The {name} cannot be changed; create another definition."
        raise DefinitionInvalid([Problem(name, "not_allowed", message)])
    try:
        document = merge_patch(encoded(stored), patch)
    except RecursionError as error:
        raise DefinitionInvalid([Problem("", "too_deep", "The patch has too many levels.")]) from error
    return decoded(kind_of(stored), document)


def updated(copy: Copy, definition: Definition, stored: Definition, action: str) -> Intention:
    """A definition that takes the place of the stored one."""
    _check(copy, definition, stored)
    return replacement(definition, stored, action)


def replacement(definition: Definition, stored: Definition, action: str) -> Intention:
    """The same, where the caller has looked at what the definition refers to."""
    kept = replace(definition, created_by=stored.created_by, created_at=stored.created_at)
    return Intention(name_of(kind_of(definition), definition.key), action, encoded(kept))


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: members of the patch replace those of the target, null removes them, objects are merged."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _check(copy: Copy, definition: Definition, stored: Definition | None = None) -> None:
    if isinstance(definition, Flag):
        check_references(definition, copy.ruleset.flags, copy.ruleset.segments)
    elif isinstance(definition, Experiment):
        # One that is over goes on naming a flag that has been deleted since.
        known = stored.flag_key if isinstance(stored, Experiment) else None
        if definition.flag_key in (None, known, *copy.ruleset.flags):
            return
        message = f"There is no flag {definition.flag_key}; create it first."
        raise DefinitionInvalid([Problem("flagKey", "flag_unknown", message)])


def _revision(copy: Copy, intention: Intention, author: Author, now: datetime) -> Revision:
    stored = copy.snapshot.revisions.get(intention.name, Revision(0, b""))
    version, document = stored.version + 1, b""
    if intention.document is not None:
        moment = moment_text(now)
        by_whom = {"version": version, "updatedBy": author.subject, "updatedAt": moment}
        if intention.action == "created":
            by_whom |= {"createdAt": moment, "createdBy": intention.document.get("createdBy") or author.subject}
        document = msgspec.json.encode({**intention.document, **by_whom})
    revision = Revision(version, document)
    return replace(revision, row=change_row(intention.name, intention.action, author, stored.document, revision, now))
