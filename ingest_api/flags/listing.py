"""Pages of definitions, by key."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from flags.experiment_model import Experiment
from flags.model import Flag, Segment
from ingest_api.errors import FieldError, InputInvalid

_Listed = TypeVar("_Listed", Flag, Segment, Experiment)


@dataclass(frozen=True, slots=True)
class Matching:
    """Which flags are meant; empty text and None mean any."""

    tag: str = ""
    type: str = ""
    is_enabled: bool | None = None
    text: str = ""
    """In the key, the name or the description, in any case."""

    def holds(self, flag: Flag) -> bool:
        """Whether this flag is one of them."""
        text = self.text.casefold()
        return (
            (not self.tag or self.tag in flag.tags)
            and (not self.type or self.type == flag.type)
            and (self.is_enabled is None or self.is_enabled is flag.is_enabled)
            and any(text in one.casefold() for one in (flag.key, flag.name, flag.description))
        )


def page_of(listed: Sequence[_Listed], cursor: str | None, limit: int) -> tuple[list[_Listed], str | None]:
    """The definitions behind the cursor, by key, and the cursor of the next page, if there is one.

    Raises:
        InputInvalid: the cursor is none that this function gave.
    """
    after = "" if cursor is None else cursor_text(cursor)
    behind = sorted((one for one in listed if one.key > after), key=lambda one: one.key)
    page = behind[:limit]
    return page, cursor_of(page[-1].key) if len(behind) > limit else None


def cursor_of(text: str) -> str:
    """Opaque text for `nextCursor`."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def cursor_text(cursor: str) -> str:
    """What `cursor_of` was given. Raises `InputInvalid`."""
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        wrong = FieldError("cursor", "is not a nextCursor that this API gave")
        raise InputInvalid(f"cursor {wrong.message}.", errors=[wrong]) from error
