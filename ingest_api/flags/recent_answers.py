"""What all flags are for the users who asked last: most ask again soon, with the next page that they open.

An answer follows from the definitions, the moment and the request alone, so it is kept until a definition or a schedule
changes. Where evaluating does more than answer (a sticky assignment, an exposure), nothing is kept.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flags.ruleset import Ruleset
from ingest_api.flags.tally import Run, Tally
from ingest_api.raw_answers import tag_of

_MOST_KEPT = 10_000
_LONGEST_BODY_BYTES = 2048
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    """Answers in runs, and their `ETag`."""

    runs: Sequence[Run]
    tag: bytes

    def body(self) -> bytes:
        """The answer as JSON; counts it."""
        for run in self.runs:
            run.count += 1
        return b'{"flags":{%b}}' % b",".join([run.members for run in self.runs])


def bulk_answer(runs: Sequence[Run]) -> BulkAnswer:
    """These answers. The tag is of their digests, which are a fiftieth of what they stand for."""
    return BulkAnswer(runs, tag_of(b"".join([run.digest for run in runs])))


class RecentAnswers:
    """The latest answers of one process, by the body of the request."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._kept: OrderedDict[bytes, BulkAnswer] = OrderedDict()
        self._of: tuple[Ruleset | None, int] = (None, 0)
        self._ends = _END

    def find(self, body: bytes, ruleset: Ruleset, now: datetime) -> BulkAnswer | None:
        """What was answered to this body, if that still holds."""
        if self._of[0] is not ruleset or self._of[1] != self._tally.generation or now >= self._ends:
            self._kept.clear()
            self._of = ruleset, self._tally.generation
            self._ends = ruleset.next_change(now) or _END
        answer = self._kept.get(body)
        if answer is not None:
            self._kept.move_to_end(body)
        return answer

    def keep(self, body: bytes, answer: BulkAnswer, ruleset: Ruleset) -> None:
        """Remember an answer that was made of these definitions since `find` was asked for it."""
        is_current = self._of[0] is ruleset and self._of[1] == self._tally.generation
        if not is_current or len(body) > _LONGEST_BODY_BYTES or not all(run.is_kept for run in answer.runs):
            return
        if len(self._kept) >= _MOST_KEPT:
            self._kept.popitem(last=False)
        self._kept[body] = answer
