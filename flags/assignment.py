"""Which variant of an experiment a user gets: by the hash of the flag engine, so that every SDK would say the same.

Pure: the same experiment and user give the same answer in every process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from flags.evaluate import Features
from flags.experiment_model import Experiment, ExperimentVariant
from flags.experiments import User, compile_experiment
from flags.hashing import hash_text
from flags.targeting import canonical_attribute, specification_condition

HASH_VERSION = 2


class AssignmentReason(StrEnum):
    """Why a user gets a variant."""

    ASSIGNED = "ASSIGNED"
    """By chance: the user is in the experiment. Everybody else gets what is not tried on them."""
    NOT_STARTED = "NOT_STARTED"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    """What was decided for; the control where nothing was."""
    ARCHIVED = "ARCHIVED"
    NOT_IDENTIFIED = "NOT_IDENTIFIED"
    """The user lacks the attribute by which the experiment tells users apart."""
    NOT_TARGETED = "NOT_TARGETED"
    """A condition does not hold."""
    NOT_COVERED = "NOT_COVERED"
    """Outside of the coverage, or of the namespace's range."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a user gets, and why."""

    variant: ExperimentVariant
    reason: AssignmentReason

    @property
    def is_in_experiment(self) -> bool:
        """Whether it counts as an exposure."""
        return self.reason is AssignmentReason.ASSIGNED

    def document(self, experiment: Experiment) -> dict[str, Any]:
        """It as the API answers it."""
        return {
            "experimentId": experiment.key,
            "variantId": self.variant.id,
            "variantName": self.variant.name,
            "config": self.variant.config,
            "isControl": self.variant.is_control,
            "inExperiment": self.is_in_experiment,
            "reason": self.reason.value,
        }


Assign: TypeAlias = Callable[[User], Assignment]

_NOT_RUNNING = {
    "draft": AssignmentReason.NOT_STARTED,
    "paused": AssignmentReason.PAUSED,
    "completed": AssignmentReason.COMPLETED,
    "archived": AssignmentReason.ARCHIVED,
}


def compile_assignment(experiment: Experiment) -> Assign:
    """Return what the experiment says to a user, as a function of the user (see `ruleset.user_of`)."""
    control = experiment.control
    if experiment.status != "running":
        decision = experiment.decision
        decided = experiment.variant(decision.variant_id) if decision is not None and decision.variant_id else None
        settled = Assignment(decided or control, _NOT_RUNNING[experiment.status])
        return lambda _: settled
    features = Features({})
    run = compile_experiment(specification_of(experiment), None, features)
    holds = features.test(specification_condition(experiment.conditions))
    attribute = canonical_attribute(experiment.hash_attribute)
    outside = {
        reason: Assignment(control, reason)
        for reason in (
            AssignmentReason.NOT_IDENTIFIED,
            AssignmentReason.NOT_TARGETED,
            AssignmentReason.NOT_COVERED,
        )
    }
    assigned = [Assignment(one, AssignmentReason.ASSIGNED) for one in experiment.variants]

    def assign(user: User) -> Assignment:
        result = run(user, None)
        if result.in_experiment:
            return assigned[result.variation_id]
        if not hash_text(user.attributes.get(attribute)):
            return outside[AssignmentReason.NOT_IDENTIFIED]
        if not holds(user.attributes):
            return outside[AssignmentReason.NOT_TARGETED]
        return outside[AssignmentReason.NOT_COVERED]

    return assign


def specification_of(experiment: Experiment) -> dict[str, Any]:
    """The experiment in the form of the GrowthBook SDK specification v5; its variations are the ids of variants."""
    shares = experiment.shares()
    document: dict[str, Any] = {
        "key": experiment.key,
        "variations": [one.id for one in experiment.variants],
        "weights": [shares[one.id] for one in experiment.variants],
        "meta": [{"key": one.id, "name": one.name} for one in experiment.variants],
        "coverage": experiment.coverage,
        "hashAttribute": canonical_attribute(experiment.hash_attribute),
        "hashVersion": HASH_VERSION,
        "seed": experiment.seed,
        "disableStickyBucketing": True,
    }
    if condition := specification_condition(experiment.conditions):
        document["condition"] = condition
    if experiment.namespace is not None:
        document["namespace"] = [experiment.namespace.name, experiment.namespace.low, experiment.namespace.high]
    return document
