"""Who gets which variant: from the definitions in memory; who is in an experiment is logged as an exposure."""

import asyncio
import time
from typing import Any

import structlog

from flags.assignment import Assign, Assignment, compile_assignment
from flags.experiment_model import Experiment
from flags.exposure import ExposureWindow
from flags.ruleset import user_of
from ingest_api.errors import ApiError
from ingest_api.events.enrichment.senders import Sender
from ingest_api.events.reception import arrival_time, rows_of
from ingest_api.events.stream import EventStream
from ingest_api.experiments.changing import demanded_experiment
from ingest_api.flags.definitions import Copy, Definitions
from ingest_api.flags.exposure_events import exposure_event

EVENT_NAME = "experiment_exposure"
_WINDOW_SECONDS = 3600.0
_CONFIRMATION_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Assigner:
    """Assigns users in one API process."""

    def __init__(self, definitions: Definitions, stream: EventStream) -> None:
        self._definitions = definitions
        self._stream = stream
        self._window = ExposureWindow(_WINDOW_SECONDS)
        self._seen: Copy | None = None
        self._compiled: dict[str, tuple[Experiment, Assign]] = {}
        self._is_logging = True

    async def assign(
        self, key: str, user_id: str, attributes: dict[str, Any] | None, source: str, sender: Sender
    ) -> dict[str, Any]:
        """What the user gets, as a document; a user who is in the experiment is exposed, once an hour.

        The answer waits until the exposure is on disk. While events cannot be stored it is given all the same, at once:
        the app goes on, and the next call logs what was lost.

        Raises:
            NotFound: there is no such experiment.
            DefinitionsAway: this process has never seen the definitions.
        """
        experiment = demanded_experiment(self._definitions.known, key)
        assignment = self._compiled_for(experiment)(user_of(user_id, attributes))
        if assignment.is_in_experiment:
            await self._expose(experiment, assignment, user_id, source, sender)
        return assignment.document(experiment)

    def _compiled_for(self, experiment: Experiment) -> Assign:
        copy = self._definitions.current
        if self._seen is not copy:
            self._seen = copy
            self._compiled = {key: one for key, one in self._compiled.items() if copy.experiments.get(key) is one[0]}
        known = self._compiled.get(experiment.key)
        if known is None or known[0] is not experiment:
            known = self._compiled[experiment.key] = experiment, compile_assignment(experiment)
        return known[1]

    async def _expose(
        self, experiment: Experiment, assignment: Assignment, user_id: str, source: str, sender: Sender
    ) -> None:
        phase = len(experiment.phases) - 1
        answer = f"{phase}/{assignment.variant.id}"
        if not self._window.is_new(user_id, experiment.key, answer, time.monotonic()):
            return
        properties = {"experimentKey": experiment.key, "variant": assignment.variant.id, "phase": phase}
        event = exposure_event(EVENT_NAME, properties, user_id, source, sender, arrival_time())
        try:
            stored = self._stream.append(rows_of([event], []))
        except ApiError as error:
            self._settle(user_id, experiment.key, answer, error)
            return
        stored.add_done_callback(lambda outcome: self._settle(user_id, experiment.key, answer, outcome.exception()))
        # Nobody waits for what was not confirmed in time before.
        if self._is_logging:
            done, _ = await asyncio.wait([stored], timeout=_CONFIRMATION_SECONDS)
            if not done:
                self._note(TimeoutError())

    def _settle(self, user_id: str, key: str, answer: str, error: BaseException | None) -> None:
        if error is not None:
            self._window.forget(user_id, key, answer)
        self._note(error)

    def _note(self, error: BaseException | None) -> None:
        """Tell the log when exposures begin and end to be lost, not at each request."""
        if error is not None and self._is_logging:
            log.warning("exposures_not_logged", reason=str(error) or type(error).__name__)
        elif error is None and not self._is_logging:
            log.info("exposures_logged_again")
        self._is_logging = error is None
