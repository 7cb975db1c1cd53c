"""What definitions were: the latest changes from Valkey, where they are at once, older ones from the warehouse."""

from typing import Any

import msgspec
from redis.exceptions import RedisError

from ingest_api.errors import DefinitionsAway, FieldError, InputInvalid, NotFound, WarehouseAway
from ingest_api.flags.change_log import LoggedChange
from ingest_api.flags.definitions import name_of
from ingest_api.flags.flag_services import FlagServices
from ingest_api.flags.listing import cursor_of, cursor_text
from warehouse.raw_events import DefinitionChange

_NEWEST = 2**63
_decoder = msgspec.json.Decoder(DefinitionChange)


async def history(
    flags: FlagServices, kind: str, key: str, cursor: str | None, limit: int
) -> tuple[list[LoggedChange], str | None]:
    """Changes of a definition, newest first, and the cursor of the next page.

    Raises:
        NotFound: there never was such a definition.
        InputInvalid: the cursor is none that this function gave.
        DefinitionsAway: neither Valkey nor ClickHouse answers.
    """
    before = _NEWEST if cursor is None else _version_of(cursor)
    # One more than asked for: whether another page follows.
    found = {one.version: one for one in await _recent(flags, kind, key) if one.version < before}
    if len(found) <= limit and min(found, default=_NEWEST) > 1:
        try:
            older = await flags.changes.history(kind, key, min(min(found, default=before), before), limit + 1)
        except WarehouseAway as error:
            if not found:
                raise DefinitionsAway("Neither Valkey nor ClickHouse answers; the history is there.") from error
            older = []
        found = {one.version: one for one in older} | found
    if not found and cursor is None:
        raise NotFound(f"There is no {kind} {key}, and there never was.", code=f"{kind}_not_found")
    page = sorted(found.values(), key=lambda one: one.version, reverse=True)[:limit]
    return page, cursor_of(str(page[-1].version)) if len(found) > limit else None


async def reverted_document(flags: FlagServices, kind: str, key: str, version: int) -> dict[str, Any]:
    """What a definition was at a version, as a document. Raises `NotFound`, `InputInvalid` or `DefinitionsAway`."""
    changes, _ = await history(flags, kind, key, cursor_of(str(version + 1)), 1)
    after = next((one.after for one in changes if one.version == version), None)
    if after is None:
        raise NotFound(f"{key} had no version {version}; its history lists all.", code="version_not_found")
    if not after:
        wrong = FieldError("toVersion", "is the version in which it was deleted; delete it instead")
        raise InputInvalid(f"toVersion {wrong.message}.", errors=[wrong])
    document: dict[str, Any] = msgspec.json.decode(after)
    return document


async def _recent(flags: FlagServices, kind: str, key: str) -> list[LoggedChange]:
    try:
        rows = await flags.definitions.store.recent_changes(name_of(kind, key))
    except (RedisError, OSError):
        return []
    changes = (_decoder.decode(row) for row in rows)
    return [LoggedChange(**{name: getattr(one, name) for name in LoggedChange._fields}) for one in changes]


def _version_of(cursor: str) -> int:
    text = cursor_text(cursor)
    if not text.isdigit() or len(text) > len(str(_NEWEST)):
        raise InputInvalid("cursor is not a nextCursor that this API gave.")
    return min(int(text), _NEWEST)
