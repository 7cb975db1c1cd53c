"""What flags are for a user: from the definitions in memory, so that neither Valkey nor ClickHouse is asked.

Only where an assignment is sticky is Valkey asked for what the user was assigned before; without an answer the user
gets what the rules say today.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from redis.exceptions import RedisError

from flags.evaluation import Evaluation
from flags.experiments import User
from flags.exposure import EVENT_NAME, ExposureWindow, answer_text, exposure_properties, is_exposure, is_sampled
from flags.hashing import hash_text
from flags.ruleset import Ruleset
from flags.specification import sticky_attributes
from flags.sticky_store import StickyStore
from ingest_api.errors import ApiError
from ingest_api.events.enrichment.senders import Sender
from ingest_api.events.reception import arrival_time, rows_of
from ingest_api.events.stream import EventStream
from ingest_api.flags.definitions import Definitions
from ingest_api.flags.exposure_events import exposure_event

_STICKY_SECONDS = 0.2
_EXPOSURE_WINDOW_SECONDS = 3600.0

log = structlog.get_logger(__name__)


class Evaluator:
    """Evaluates flags in one API process, and tells the event stream who saw what, if it is to."""

    def __init__(
        self,
        definitions: Definitions,
        sticky: StickyStore,
        stream: EventStream,
        exposure_share: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`exposure_share` is the share of users, 0 to 1, whose exposures become events."""
        self._definitions = definitions
        self._sticky = sticky
        self._stream = stream
        self._exposure_share = exposure_share
        self._window = ExposureWindow(_EXPOSURE_WINDOW_SECONDS)
        self._now = now
        self._sticky_of: tuple[Ruleset | None, frozenset[str]] = (None, frozenset())
        self._is_sticky_away = False

    @property
    def only_answers(self) -> bool:
        """Whether an evaluation does nothing but answer: no assignment is sticky, no exposure becomes an event."""
        return self._exposure_share <= 0 and not self._sticky_attributes(self._definitions.ruleset)

    async def evaluate(self, user: User, keys: Iterable[str] | None, source: str, sender: Sender) -> list[Evaluation]:
        """Each of these flags for the user, in their order; None are all of them.

        Raises:
            DefinitionsAway: this process has never seen the definitions.
        """
        ruleset = self._definitions.ruleset
        user = await self.recognised(user)
        answers = ruleset.evaluate_all(user, self._now(), keys)
        if user.sticky_buckets is not None and user.sticky_buckets.changed:
            await self._save(user)
        # What a developer forces is no exposure.
        if self._exposure_share > 0 and not user.overrides.features and not user.overrides.variations:
            self._expose(user, answers, source, sender)
        return answers

    async def recognised(self, user: User) -> User:
        """The user with what was assigned before; without it while Valkey does not answer."""
        names = self._sticky_attributes(self._definitions.ruleset)
        if not names:
            return user
        try:
            async with asyncio.timeout(_STICKY_SECONDS):
                user = replace(user, sticky_buckets=await self._sticky.load(user.attributes, names))
        except (RedisError, OSError, TimeoutError) as error:
            self._note_sticky(error)
        else:
            self._note_sticky(None)
        return user

    def _sticky_attributes(self, ruleset: Ruleset) -> frozenset[str]:
        if self._sticky_of[0] is not ruleset:
            self._sticky_of = ruleset, sticky_attributes(ruleset.flags.values())
        return self._sticky_of[1]

    async def _save(self, user: User) -> None:
        assert user.sticky_buckets is not None  # noqa: S101 - the caller has looked
        try:
            async with asyncio.timeout(_STICKY_SECONDS):
                await self._sticky.save(user.sticky_buckets)
        except (RedisError, OSError, TimeoutError) as error:
            self._note_sticky(error)

    def _note_sticky(self, error: Exception | None) -> None:
        """Tell the log when assignments begin and end to be unknown, not at each request."""
        if error is not None and not self._is_sticky_away:
            log.warning("sticky_buckets_away", reason=str(error) or type(error).__name__)
        elif error is None and self._is_sticky_away:
            log.info("sticky_buckets_are_back")
        self._is_sticky_away = error is not None

    def _expose(self, user: User, answers: Iterable[Evaluation], source: str, sender: Sender) -> None:
        user_id = hash_text(user.attributes.get("id"))
        if not user_id or not is_sampled(user_id, self._exposure_share):
            return
        now_seconds, received_at = time.monotonic(), arrival_time()
        events = [
            exposure_event(EVENT_NAME, exposure_properties(answer), user_id, source, sender, received_at)
            for answer in answers
            if is_exposure(answer) and self._window.is_new(user_id, answer.key, answer_text(answer), now_seconds)
        ]
        if not events:
            return
        try:
            stored = self._stream.append(rows_of(events, []))
        except ApiError:
            return
        # The answer does not wait for it, and is right without it.
        stored.add_done_callback(lambda outcome: outcome.exception())
