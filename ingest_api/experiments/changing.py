"""Changing experiments: what `flags.experiment_phases` allows, made as the editor makes every change."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.experiment_model import Decision, Experiment
from flags.experiment_phases import StatusForbids, changed, created, moved
from ingest_api.auth.principals import Principal
from ingest_api.auth.roles import Permission
from ingest_api.errors import Conflict, NotFound
from ingest_api.events.reception import arrival_time
from ingest_api.flags.changes import Author
from ingest_api.flags.definitions import EXPERIMENT, Copy
from ingest_api.flags.editing import (
    Editor,
    Intention,
    check_version,
    decoded,
    deletions,
    encoded,
    merged,
    updated,
)

_DONE = {
    "start": "started",
    "pause": "paused",
    "resume": "resumed",
    "complete": "completed",
    "archive": "archived",
}
"""What the audit trail calls each step."""
_MAY_BE_DELETED = ("draft", "archived")


@dataclass(frozen=True, slots=True)
class ExperimentEditor:
    """Changes experiments. Every method raises what `Editor.make` does, and `Conflict` where the status forbids it."""

    editor: Editor
    now: Callable[[], datetime] = arrival_time

    async def create(self, document: Any, caller: Principal, comment: str) -> Experiment:
        """Add an experiment; one that is to run starts at once.

        Raises:
            DefinitionInvalid: with everything that is wrong with the document.
            Conflict: there is one of this id.
            PermissionMissing: it may turn off a flag, and the caller may not.
        """
        experiment = created(_experiment(decoded(EXPERIMENT, document)), self.now())
        _check_policy(None, experiment, caller)
        copy = await self.editor.create(experiment, Author(caller.subject, comment))
        return demanded_experiment(copy, experiment.key)

    async def patch(
        self, key: str, patch: Mapping[str, Any], expected_version: int | None, caller: Principal, comment: str
    ) -> Experiment:
        """Change some members by a JSON merge patch (RFC 7396). Raises as `create` does, and `NotFound`."""

        def change(stored: Experiment) -> Experiment:
            wanted = changed(stored, _experiment(merged(stored, patch)), self.now())
            _check_policy(stored, wanted, caller)
            return wanted

        return await self._make(key, expected_version, "updated", change, Author(caller.subject, comment))

    async def move(
        self,
        key: str,
        step: str,
        expected_version: int | None,
        author: Author,
        decided_variant: str | None = None,
    ) -> Experiment:
        """Start, pause, resume, complete or archive; `decided_variant` is what everybody gets from its completion on.

        Raises:
            NotFound: there is no such experiment.
            DefinitionInvalid: it lacks what it needs for that.
        """

        def change(stored: Experiment) -> Experiment:
            now = self.now()
            decision = Decision(decided_variant, author.comment, author.subject, now) if step == "complete" else None
            return moved(stored, step, now, decision)

        return await self._make(key, expected_version, _DONE[step], change, author)

    async def delete(self, key: str, expected_version: int | None, author: Author) -> None:
        """Remove a draft, or an experiment that is archived. Raises `NotFound`."""

        def judge(copy: Copy) -> list[Intention]:
            stored = demanded_experiment(copy, key)
            check_version(key, stored.version, expected_version)
            if stored.status not in _MAY_BE_DELETED:
                message = f"{key} is {stored.status}: archive it first; its results would have no name any more."
                raise Conflict(message, code="experiment_status")
            return deletions(copy, EXPERIMENT, key, {})

        await self.editor.make(judge, author)

    async def _make(
        self,
        key: str,
        expected_version: int | None,
        action: str,
        change: Callable[[Experiment], Experiment],
        author: Author,
    ) -> Experiment:
        def judge(copy: Copy) -> list[Intention]:
            stored = demanded_experiment(copy, key)
            check_version(key, stored.version, expected_version)
            with _status_conflicts():
                wanted = change(stored)
            # What is written must be read again, however many phases it has become.
            return [updated(copy, decoded(EXPERIMENT, encoded(wanted)), stored, action)]

        return demanded_experiment(await self.editor.make(judge, author), key)


def demanded_experiment(copy: Copy, key: str) -> Experiment:
    """The stored experiment. Raises `NotFound`."""
    experiment = copy.experiments.get(key)
    if experiment is None:
        raise NotFound(f"There is no experiment {key}.", code="experiment_not_found")
    return experiment


def _experiment(definition: object) -> Experiment:
    assert isinstance(definition, Experiment)  # noqa: S101 - it was decoded as one
    return definition


def _check_policy(stored: Experiment | None, wanted: Experiment, caller: Principal) -> None:
    """Whoever lets an experiment turn off a flag must be allowed to turn it off."""
    before = None if stored is None else (stored.guardrail_policy, stored.flag_key)
    if wanted.guardrail_policy != "none" and before != (wanted.guardrail_policy, wanted.flag_key):
        caller.require(Permission.FLAGS_WRITE)


@contextmanager
def _status_conflicts() -> Iterator[None]:
    try:
        yield
    except StatusForbids as error:
        raise Conflict(str(error), code="experiment_status") from error
