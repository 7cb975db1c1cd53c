"""How an experiment goes on: what its status may become, what may change in it, and when a new phase begins.

Users are assigned in one way within a phase. So expected counts follow what was said at each time, and a change of
allocations is no mismatch. Every function is pure and returns another experiment.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from flags.experiment_model import Decision, Experiment, Phase, Status
from flags.problems import DefinitionInvalid, Problem

MAX_PHASES = 500
_HASH = ("hash_attribute", "seed")
_TARGETING = ("coverage", "conditions", "namespace")
_BY_HAND: Mapping[str, str] = {"phases": "phases", "decision": "decision"}
_KEPT: Mapping[str, str] = {
    "status": "status",
    "phases": "phases",
    "decision": "decision",
    "started_at": "startedAt",
    "ended_at": "endedAt",
}
"""What only start, pause, resume, complete and archive change, and how documents call it."""
_WAYS: Mapping[str, tuple[tuple[Status, ...], Status]] = {
    "start": (("draft",), "running"),
    "pause": (("running",), "paused"),
    "resume": (("paused",), "running"),
    "complete": (("running", "paused", "completed"), "completed"),
    "archive": (("draft", "paused", "completed"), "archived"),
}
"""From which status each leads to which one."""
_ADVICE: Mapping[tuple[str, Status], str] = {
    ("start", "paused"): "resume it instead",
    ("start", "running"): "it has begun already",
    ("start", "completed"): "create another one to try again",
    ("start", "archived"): "create another one to try again",
    ("archive", "running"): "pause or complete it first",
    ("complete", "draft"): "there is nothing to decide on yet",
}
_CLOCKS_DIFFER = timedelta(minutes=1)


class StatusForbids(Exception):
    """The status of an experiment does not allow what was asked; the text says what does."""


def created(experiment: Experiment, now: datetime) -> Experiment:
    """An experiment as it is stored first: one that runs has a phase, which begins now or at `started_at`.

    `started_at` and `ended_at` may lie in the past, for an experiment that ran elsewhere.

    Raises:
        DefinitionInvalid: it says what only the service can know, or times that cannot be.
    """
    problems = [
        Problem(document_name, "not_allowed", f"{document_name} is kept by the service; leave it out.")
        for name, document_name in _BY_HAND.items()
        if getattr(experiment, name)
    ]
    problems += _wrong_times(experiment, now)
    if problems:
        raise DefinitionInvalid(problems)
    if experiment.status == "running":
        return _opened(replace(experiment, started_at=experiment.started_at or now), experiment.started_at or now)
    if experiment.started_at is None:
        return experiment
    ended_at = experiment.ended_at or now
    ran = _closed(_opened(experiment, experiment.started_at), ended_at)
    return ran if ran.status == "paused" else replace(ran, ended_at=ended_at)


def moved(experiment: Experiment, way: str, now: datetime, decision: Decision | None = None) -> Experiment:
    """The experiment after one of start, pause, resume, complete and archive.

    Args:
        experiment: as it is stored.
        way: one of these words.
        now: UTC aware.
        decision: with `complete`.

    Raises:
        StatusForbids: this does not follow on its status.
        DefinitionInvalid: it cannot start as it is, or the decision is for a variant that it does not have.
    """
    statuses, becomes = _WAYS[way]
    if experiment.status not in statuses:
        advice = _ADVICE.get((way, experiment.status), f"that takes the status {' or '.join(statuses)}")
        raise StatusForbids(f"{experiment.key} is {experiment.status}: {advice}.")
    if becomes == "running" and not experiment.metrics:
        message = "An experiment that runs needs a metric to be judged by."
        raise DefinitionInvalid([Problem("metrics", "field_missing", message)])
    if decision is not None and decision.variant_id is not None and experiment.variant(decision.variant_id) is None:
        known = ", ".join(one.id for one in experiment.variants)
        message = f"There is no variant {decision.variant_id}; there are {known}."
        raise DefinitionInvalid([Problem("variantId", "variant_unknown", message)])
    changed = replace(experiment, status=becomes)
    if becomes == "running":
        return _opened(replace(changed, started_at=experiment.started_at or now), now)
    changed = _closed(changed, now)
    if becomes == "completed":
        return replace(changed, ended_at=experiment.ended_at or now, decision=decision or experiment.decision)
    if becomes == "archived" and experiment.started_at is not None:
        return replace(changed, ended_at=experiment.ended_at or now)
    return changed


def changed(stored: Experiment, wanted: Experiment, now: datetime) -> Experiment:
    """What an edit makes of the stored experiment; of one that runs, other allocations or targeting open a phase.

    Raises:
        StatusForbids: this cannot be changed in its status.
        DefinitionInvalid: the edit changes what only the service can.
    """
    problems = [
        Problem(document_name, "not_allowed", _kept_message(document_name))
        for name, document_name in _KEPT.items()
        if getattr(stored, name) != getattr(wanted, name)
    ]
    if problems:
        raise DefinitionInvalid(problems)
    if stored.status == "draft":
        return wanted
    if stored.status == "archived":
        raise StatusForbids(f"{stored.key} is archived: it stays as it is; create another one.")
    if stored.started_at is not None:
        _check_begun(stored, wanted)
    if stored.status == "running" and _assignment_of(stored) != _assignment_of(wanted):
        return _opened(_closed(wanted, now), now)
    return wanted


def _check_begun(stored: Experiment, wanted: Experiment) -> None:
    if _treatments_of(stored) != _treatments_of(wanted):
        raise StatusForbids(
            f"{stored.key} is {stored.status}: its variants cannot be added, removed, reordered or given another "
            "config or control, because users who have seen them would be counted for what they have not seen. Change "
            "allocations or names, or create another experiment."
        )
    for name in _HASH:
        if getattr(stored, name) != getattr(wanted, name):
            raise StatusForbids(f"{stored.key} is {stored.status}: another {_said(name)} would shuffle its users.")
    if stored.planned_users != wanted.planned_users:
        raise StatusForbids(
            f"{stored.key} is {stored.status}: plannedUsers is fixed before the start; a plan that follows the data "
            "makes chance look like an effect."
        )
    if stored.status == "completed" and _assignment_of(stored) != _assignment_of(wanted):
        raise StatusForbids(f"{stored.key} is completed: nobody is assigned any more, so that cannot be changed.")


def _treatments_of(experiment: Experiment) -> list[tuple[Any, ...]]:
    # Encoded: 1 and true are different to an app.
    return [
        (one.id, msgspec.json.encode(one.config, order="deterministic"), one.is_control) for one in experiment.variants
    ]


def _assignment_of(experiment: Experiment) -> tuple[Any, ...]:
    return (experiment.shares(), *(getattr(experiment, name) for name in _TARGETING))


def _opened(experiment: Experiment, moment: datetime) -> Experiment:
    if len(experiment.phases) >= MAX_PHASES:
        raise StatusForbids(f"{experiment.key} has had {MAX_PHASES} phases; complete it and create another one.")
    phase = Phase(moment, experiment.shares(), experiment.coverage)
    return replace(experiment, phases=(*experiment.phases, phase))


def _closed(experiment: Experiment, moment: datetime) -> Experiment:
    if not experiment.phases or experiment.phases[-1].ended_at is not None:
        return experiment
    *before, last = experiment.phases
    return replace(experiment, phases=(*before, replace(last, ended_at=max(moment, last.started_at))))


def _wrong_times(experiment: Experiment, now: datetime) -> list[Problem]:
    started_at, ended_at = experiment.started_at, experiment.ended_at
    problems = []
    for field, moment in (("startedAt", started_at), ("endedAt", ended_at)):
        if moment is not None and moment > now + _CLOCKS_DIFFER:
            problems.append(Problem(field, "out_of_range", f"{field} lies in the future."))
    if started_at is not None and experiment.status == "draft":
        problems.append(Problem("startedAt", "conflict", "A draft has not started; give it another status."))
    if ended_at is not None and experiment.status not in ("completed", "archived"):
        problems.append(Problem("endedAt", "conflict", "Only a completed or archived experiment has ended."))
    if ended_at is not None and (started_at is None or ended_at <= started_at):
        problems.append(Problem("endedAt", "conflict", "endedAt comes after startedAt, which it needs."))
    return problems


def _kept_message(name: str) -> str:
    if name == "status":
        return "status is changed by start, pause, resume, complete and archive, each an address of its own."
    return f"{name} is kept by the service; leave it out."


def _said(name: str) -> str:
    return {"hash_attribute": "hashAttribute"}.get(name, name)
