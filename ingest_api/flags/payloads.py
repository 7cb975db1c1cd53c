"""All flags as GrowthBook's SDKs read them, encoded once for each version and moment and not for each request."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from flags.growthbook import dated_at, payload
from ingest_api.errors import DefinitionsAway
from ingest_api.flags.definitions import Copy, Definitions
from ingest_api.raw_answers import tag_of

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Payload:
    """What every SDK gets until the next change."""

    of: tuple[Copy, datetime | None]
    """See `Payloads.moment`."""
    body: bytes
    tag: bytes
    """`ETag` of the body."""


class Payloads:
    """The payload of this process's definitions."""

    def __init__(self, definitions: Definitions, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._definitions = definitions
        self._now = now
        self._made: Payload | None = None

    def current(self) -> Payload:
        """The payload as of now.

        Raises:
            DefinitionsAway: this process has never seen the definitions.
        """
        made, (copy, edge) = self._made, self.moment()
        if made is None or made.of[0] is not copy or made.of[1] != edge:
            if not copy.snapshot.epoch:
                raise DefinitionsAway("This process has not read the definitions yet; ask again in a few seconds.")
            body = _encoder.encode(payload(copy.ruleset, self._now(), copy.snapshot.updated_at))
            self._made = made = Payload((copy, edge), body, tag_of(body))
        return made

    def moment(self) -> tuple[Copy, datetime | None]:
        """What the payload depends on: the definitions, and when a schedule last changed what they say."""
        copy = self._definitions.current
        return copy, copy.ruleset.last_change(self._now())

    @property
    def dated(self) -> datetime:
        """When the payload last changed."""
        copy = self._definitions.current
        return dated_at(copy.ruleset, self._now(), copy.snapshot.updated_at)

    @property
    def seconds_left(self) -> float | None:
        """When a schedule changes the payload next; None when none does."""
        now = self._now()
        edge = self._definitions.current.ruleset.next_change(now)
        return None if edge is None else (edge - now).total_seconds()

    async def next_edit(self) -> None:
        """Wait until a definition changes."""
        await self._definitions.next_change()
