"""Experiments as JSON documents (camelCase), and what a document may say.

A stored document says everything, defaults included: the warehouse reads it without knowing any rule of this module.
"""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from flags.codec import MAX_CONDITIONS, accepted, encode_condition, encode_history, read_history
from flags.condition_checks import read_condition
from flags.experiment_model import Decision, Experiment, ExperimentVariant, Phase, Prior, Status
from flags.experiment_phases import MAX_PHASES
from flags.fields import LARGEST_WHOLE_NUMBER, MAX_KEY_CHARACTERS, Members, Problems
from flags.metric_codec import encode_metric, read_metrics
from flags.model import Namespace
from flags.rule_codec import LARGEST_WEIGHT, MAX_VARIATIONS, moment_text, read_hash_attribute
from flags.values import read_value

SEGMENTS = ("country", "device_type", "os_name", "browser_name", "source")
"""Dimensions by which results can be reported: what is known of a user at the first exposure."""
CORRECTIONS = ("holm", "bh", "none")
GUARDRAIL_POLICIES = ("none", "disable_flag")
STATUSES: Sequence[Status] = get_args(Status)
MAX_NAME_CHARACTERS = 200
_NOT_IN_A_KEY = re.compile(r"[^a-z0-9]+")


def decode_experiment(document: Any) -> Experiment:
    """Read an experiment: the body of a create request, or one that was stored.

    Raises:
        DefinitionInvalid: with every problem.
    """
    problems = Problems()
    members = Members(document, "", problems)
    experiment = _experiment(members) if members.is_object else None
    return accepted(experiment, document, problems)


def encode_experiment(experiment: Experiment) -> dict[str, Any]:
    """An experiment as a document that `decode_experiment` reads back as the same experiment."""
    namespace, prior, decision = experiment.namespace, experiment.prior, experiment.decision
    return {
        "id": experiment.key,
        "name": experiment.name,
        "description": experiment.description,
        "hypothesis": experiment.hypothesis,
        "status": experiment.status,
        "variants": [_encode_variant(one) for one in experiment.variants],
        "metrics": [encode_metric(one) for one in experiment.metrics],
        "phases": [_encode_phase(one) for one in experiment.phases],
        "hashAttribute": experiment.hash_attribute,
        "seed": experiment.seed,
        "coverage": experiment.coverage,
        "conditions": [encode_condition(one) for one in experiment.conditions],
        "namespace": None if namespace is None else {"name": namespace.name, "range": [namespace.low, namespace.high]},
        "confidenceLevel": experiment.confidence_level,
        "plannedUsers": experiment.planned_users,
        "segments": list(experiment.segments),
        "correction": experiment.correction,
        "prior": None if prior is None else {"mean": prior.mean, "stdDev": prior.std_dev},
        "flagKey": experiment.flag_key,
        "guardrailPolicy": experiment.guardrail_policy,
        "decision": None if decision is None else _encode_decision(decision),
        "startedAt": None if experiment.started_at is None else moment_text(experiment.started_at),
        "endedAt": None if experiment.ended_at is None else moment_text(experiment.ended_at),
        **encode_history(experiment),
    }


def key_of_name(name: str) -> str:
    """A key made of a name: `Homepage Redesign` -> `homepage-redesign`; empty where nothing of it can be in a key."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _NOT_IN_A_KEY.sub("-", ascii_only.lower()).strip("-")[:MAX_KEY_CHARACTERS].rstrip("-")


def _experiment(members: Members) -> Experiment:
    problems = members.problems
    name = members.text("name", is_required=True, longest=MAX_NAME_CHARACTERS)
    key = members.key("id", is_required=False) or key_of_name(name)
    if not key and name:
        problems.add("id", "field_missing", "No id can be made of this name; give one.")
    experiment = Experiment(
        key=key,
        name=name,
        variants=_variants(members),
        metrics=read_metrics(members),
        status=members.choice("status", STATUSES, default="draft"),  # type: ignore[arg-type]
        description=members.text("description"),
        hypothesis=members.text("hypothesis"),
        phases=members.items("phases", MAX_PHASES, lambda one, path: _phase(one, path, problems)),
        hash_attribute=read_hash_attribute(members, "hashAttribute") or "id",
        seed=members.text("seed", longest=MAX_KEY_CHARACTERS) or key,
        coverage=members.number("coverage", 1.0, 0, 1),
        conditions=members.items("conditions", MAX_CONDITIONS, lambda one, path: read_condition(one, path, problems)),
        namespace=_namespace(members),
        confidence_level=_confidence_level(members),
        planned_users=members.whole("plannedUsers", 0, 2, LARGEST_WHOLE_NUMBER) or None,
        segments=_segments(members),
        correction=members.choice("correction", CORRECTIONS, default="holm"),  # type: ignore[arg-type]
        prior=_prior(members),
        flag_key=members.key("flagKey", is_required=False) or None,
        guardrail_policy=members.choice("guardrailPolicy", GUARDRAIL_POLICIES, default="none"),  # type: ignore[arg-type]
        decision=_decision(members),
        started_at=members.moment("startedAt"),
        ended_at=members.moment("endedAt"),
        **read_history(members),
    )
    members.finish()
    _check(experiment, problems)
    return experiment


def _check(experiment: Experiment, problems: Problems) -> None:
    if experiment.guardrail_policy == "disable_flag" and experiment.flag_key is None:
        message = "Turning a flag off needs the flag: give flagKey."
        problems.add("flagKey", "field_missing", message)
    if experiment.status == "running" and not experiment.metrics:
        problems.add("metrics", "field_missing", "An experiment that runs needs a metric to be judged by.")


def _variants(members: Members) -> tuple[ExperimentVariant, ...]:
    problems, path = members.problems, members.field("variants")
    documents = members.take("variants")
    # Where nobody says how many users each gets, all get the same.
    has_allocations = isinstance(documents, list) and any(
        isinstance(one, Mapping) and one.get("allocation") is not None for one in documents
    )
    before = len(problems.found)
    variants = Members({"variants": documents}, "", problems).items(
        "variants", MAX_VARIATIONS, lambda one, at: _variant(one, at, problems, has_allocations)
    )
    if len(problems.found) > before:
        return variants
    if len(variants) < 2:
        problems.add(path, "field_missing", f"An experiment compares at least two variants, not {len(variants)}.")
        return variants
    ids = [one.id for one in variants]
    for index, key in enumerate(ids):
        if key in ids[:index]:
            problems.add(f"{path}[{index}].id", "duplicate", f"{key} is there twice; give each variant its own id.")
    controls = [one.id for one in variants if one.is_control]
    if len(controls) != 1:
        said = f"these are marked: {', '.join(controls)}" if controls else "none is marked"
        problems.add(path, "control_count", f"Mark exactly one variant with isControl: true; {said}.")
    total = sum(one.allocation for one in variants)
    if not total > 0 or not all(math.isfinite(one.allocation / total) for one in variants):
        message = "The allocations cannot be made shares of 1: give at least one variant more than 0."
        problems.add(path, "allocation_invalid", message)
    return variants


def _variant(document: Any, path: str, problems: Problems, has_allocations: bool) -> ExperimentVariant:
    members = Members(document, path, problems)
    key = members.key("id")
    if members.is_object and has_allocations and not members.has("allocation"):
        problems.add(members.field("allocation"), "field_missing", "Give each variant an allocation, or none of them.")
    variant = ExperimentVariant(
        id=key,
        name=members.text("name", longest=MAX_NAME_CHARACTERS) or key,
        allocation=members.number("allocation", 1, 0, LARGEST_WEIGHT),
        description=members.text("description"),
        config=read_value(members.take("config"), "json", members.field("config"), problems),
        is_control=members.boolean("isControl", False),
    )
    members.finish()
    return variant


def _encode_variant(variant: ExperimentVariant) -> dict[str, Any]:
    return {
        "id": variant.id,
        "name": variant.name,
        "description": variant.description,
        "allocation": variant.allocation,
        "config": variant.config,
        "isControl": variant.is_control,
    }


def _phase(document: Any, path: str, problems: Problems) -> Phase:
    members = Members(document, path, problems)
    started_at, ended_at = members.moment("startedAt"), members.moment("endedAt")
    if started_at is None and members.is_object:
        problems.add(members.field("startedAt"), "field_missing", "A phase has a beginning.")
    inner = Members(members.take("allocations") or {}, members.field("allocations"), problems)
    shares = {name: inner.number(name, 0, 0, 1) for name in inner.names()}
    phase = Phase(
        started_at=started_at,  # type: ignore[arg-type]
        allocations=shares,
        coverage=members.number("coverage", 1.0, 0, 1),
        ended_at=ended_at,
    )
    members.finish()
    return phase


def _encode_phase(phase: Phase) -> dict[str, Any]:
    return {
        "startedAt": moment_text(phase.started_at),
        "endedAt": None if phase.ended_at is None else moment_text(phase.ended_at),
        "allocations": dict(phase.allocations),
        "coverage": phase.coverage,
    }


def _namespace(members: Members) -> Namespace | None:
    """`{"name", "range": [from, to]}`, or `["name", from, to]` as a rule of a flag may have it."""
    if not members.has("namespace"):
        return None
    path, document = members.field("namespace"), members.take("namespace")
    if isinstance(document, list) and len(document) == 3:
        document = {"name": document[0], "range": document[1:]}
    inner = Members(document, path, members.problems)
    name = inner.text("name", is_required=True, longest=MAX_KEY_CHARACTERS)
    bounds = inner.take("range")
    inner.finish()
    if not isinstance(bounds, list) or len(bounds) != 2:
        message = "range is where the users' places are: two numbers from 0 to 1."
        members.problems.add(inner.field("range"), "wrong_type", message)
        return None
    read = Members({"from": bounds[0], "to": bounds[1]}, inner.field("range"), members.problems)
    low, high = read.number("from", 0, 0, 1), read.number("to", 1, 0, 1)
    if low >= high:
        members.problems.add(inner.field("range"), "conflict", "The range of a namespace begins before it ends.")
    return Namespace(name, low, high)


def _confidence_level(members: Members) -> float:
    level = members.number("confidenceLevel", 0.95, 0, 1)
    if not 0.5 <= level < 1:
        message = "confidenceLevel is a share from 0.5 to below 1: 0.95, not 95."
        members.problems.add(members.field("confidenceLevel"), "out_of_range", message)
        return 0.95
    return level


def _segments(members: Members) -> tuple[str, ...]:
    problems = members.problems

    def read(value: Any, path: str) -> str:
        if isinstance(value, str) and value in SEGMENTS:
            return value
        problems.add(path, "not_allowed", f"Results can be reported by {', '.join(SEGMENTS)}.")
        return ""

    return tuple(dict.fromkeys(members.items("segments", len(SEGMENTS), read)))


def _prior(members: Members) -> Prior | None:
    if not members.has("prior"):
        return None
    inner = Members(members.take("prior"), members.field("prior"), members.problems)
    prior = Prior(inner.number("mean", 0, -10, 10), inner.number("stdDev", 0.3, 0, 10))
    inner.finish()
    if prior.std_dev <= 0:
        inner.problems.add(
            inner.field("stdDev"), "out_of_range", "stdDev must be more than 0; leave prior out for none."
        )
    return prior


def _decision(members: Members) -> Decision | None:
    if not members.has("decision"):
        return None
    inner = Members(members.take("decision"), members.field("decision"), members.problems)
    variant_id, decided_at = inner.key("variantId", is_required=False), inner.moment("decidedAt")
    comment, decided_by = inner.text("comment"), inner.text("decidedBy", longest=MAX_NAME_CHARACTERS)
    inner.finish()
    if decided_at is None:
        inner.problems.add(inner.field("decidedAt"), "field_missing", "decidedAt is required.")
        return None
    return Decision(variant_id or None, comment, decided_by, decided_at)


def _encode_decision(decision: Decision) -> dict[str, Any]:
    return {
        "variantId": decision.variant_id,
        "comment": decision.comment,
        "decidedBy": decision.decided_by,
        "decidedAt": moment_text(decision.decided_at),
    }
