"""Answers of flags as JSON, encoded once, and how often each was given.

The answers of a flag are few: what is kept beside each, and beside those of a few flags in a row, is found by the
identity of the objects, which costs less than encoding them again. The counts go into the event stream every few
seconds and end up in `raw.flag_evaluations`.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from flags.evaluation import Evaluation
from ingest_api.errors import ApiError
from ingest_api.events.entries import Rows
from ingest_api.events.stream import EventStream
from warehouse.raw_events import FlagEvaluationCount

_FLUSH_SECONDS = 10.0
# Each edit of a flag brings new ones.
_MOST_KEPT = 20_000
_LONGEST_ANSWER = 256
# Few enough that a run comes again although each of its flags is split.
_RUN_LENGTH = 5

_encoder = msgspec.json.Encoder()


class _Given:
    """One answer: it, its JSON, a digest of that, and how often it was given since the last flush."""

    __slots__ = ("count", "digest", "evaluation", "json", "member")

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.json = _encoder.encode(evaluation.document())
        self.member = _encoder.encode(evaluation.key) + b":" + self.json
        self.digest = hashlib.blake2b(self.member, digest_size=16).digest()
        self.count = 0


class Run:
    """A few answers in a row as members of a JSON object, by key of the flag; `count` is raised when they are given."""

    __slots__ = ("count", "digest", "given", "is_kept", "members")

    def __init__(self, given: Sequence[_Given]) -> None:
        self.is_kept = all(one.evaluation.error is None for one in given)
        self.given = given
        self.members = b",".join([one.member for one in given])
        self.digest = hashlib.blake2b(b"".join([one.digest for one in given]), digest_size=16).digest()
        self.count = 0


class Tally:
    """Encodes and counts the answers of one process. For one event loop."""

    def __init__(self, stream: EventStream, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._stream = stream
        self._now = now
        self._since = now()
        self._given: dict[int, _Given] = {}
        self._runs: dict[tuple[int, ...], Run] = {}
        self.generation = 0
        """Changes when runs are forgotten: those of an earlier one are counted no more."""

    def encoded(self, evaluation: Evaluation) -> bytes:
        """The answer as JSON; counts it."""
        given = self._of(evaluation)
        given.count += 1
        return given.json

    def runs(self, evaluations: Sequence[Evaluation]) -> Sequence[Run]:
        """The answers a few at a time."""
        identities = tuple(map(id, evaluations))
        runs = []
        for start in range(0, len(identities), _RUN_LENGTH):
            identity = identities[start : start + _RUN_LENGTH]
            run = self._runs.get(identity)
            if run is None:
                run = self._run(identity, evaluations[start : start + _RUN_LENGTH])
            runs.append(run)
        return runs

    def count(self, evaluations: Iterable[Evaluation]) -> None:
        """Count answers that are encoded in another way."""
        for one in evaluations:
            self._of(one).count += 1

    def _of(self, evaluation: Evaluation) -> _Given:
        given = self._given.get(id(evaluation))
        if given is None:
            given = _Given(evaluation)
            if evaluation.error is None:
                if len(self._given) >= _MOST_KEPT:
                    self.flush()
                    self._given.clear()
                    self._forget_runs()
                # It keeps the evaluation, so that no other object gets its identity.
                self._given[id(evaluation)] = given
        return given

    def _run(self, identity: tuple[int, ...], evaluations: Sequence[Evaluation]) -> Run:
        run = Run([self._of(one) for one in evaluations])
        if run.is_kept:
            if len(self._runs) >= _MOST_KEPT:
                self._sum_up()
                self._forget_runs()
            self._runs[identity] = run
        return run

    def _forget_runs(self) -> None:
        self._runs.clear()
        self.generation += 1

    def _sum_up(self) -> None:
        """Count the answers of each run."""
        for run in self._runs.values():
            for given in run.given:
                given.count += run.count
            run.count = 0

    async def keep_flushing(self) -> None:
        """Hand the counts to the event stream every few seconds until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self.flush()

    def flush(self) -> None:
        """Hand the counts to the event stream. While it takes nothing, they wait for the next time."""
        now = self._now()
        self._sum_up()
        counted = [one for one in self._given.values() if one.count]
        if not counted:
            self._since = now
            return
        lines = _encoder.encode_lines([self._row(one, now) for one in counted])
        try:
            stored = self._stream.append(Rows(flag_evaluations=lines))
        except ApiError:
            return
        # Nobody waits for it: how often a flag was asked for is worth no retry.
        stored.add_done_callback(lambda outcome: outcome.exception())
        for one in counted:
            one.count = 0
        self._since = now

    def _row(self, given: _Given, now: datetime) -> FlagEvaluationCount:
        evaluation = given.evaluation
        return FlagEvaluationCount(
            count_id=str(uuid.uuid4()),
            flag_key=evaluation.key,
            version=evaluation.version,
            variant=evaluation.variant or "",
            answer=_encoder.encode(evaluation.value).decode()[:_LONGEST_ANSWER],
            reason=evaluation.reason.value,
            evaluation_count=given.count,
            first_at=self._since,
            last_at=now,
        )
