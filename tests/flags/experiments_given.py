"""Experiments and their documents for tests."""

import copy
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from flags.experiment_codec import decode_experiment
from flags.experiment_model import Experiment
from flags.problems import DefinitionInvalid
from tests.flags.documents_given import conditions

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CUSTOMERS_TEST: dict[str, Any] = {
    "name": "Homepage Redesign",
    "status": "running",
    "variants": [
        {"id": "control", "name": "Control", "allocation": 50, "config": {"layout": "original"}, "isControl": True},
        {"id": "variant_a", "name": "New Design", "allocation": 50, "config": {"layout": "new"}},
    ],
    "metrics": [
        {
            "id": "conversion",
            "name": "Conversion Rate",
            "type": "conversion",
            "aggregation": "rate",
            "isPrimary": True,
        }
    ],
    "createdBy": "admin",
}
TWO_VARIANTS: list[dict[str, Any]] = [
    {"id": "control", "name": "Control", "isControl": True},
    {"id": "new", "name": "New"},
]
SIGNUP: dict[str, Any] = {"id": "signup", "type": "conversion", "isPrimary": True}


RIGHT_METRICS: list[dict[str, Any]] = [
    SIGNUP,
    {"id": "m1", "type": "revenue", "cap": {"type": "percentile", "value": 0.99}},
    {"id": "m2", "type": "ratio", "denominator": {"eventName": "visit"}},
    {"id": "m3", "type": "count", "role": "guardrail", "nonInferiorityMargin": 0.1},
]


def document(**members: Any) -> dict[str, Any]:
    """A draft that is right, with these members."""
    return copy.deepcopy({"name": "Prices", "variants": TWO_VARIANTS, "metrics": [SIGNUP], **members})


def experiment(**members: Any) -> Experiment:
    return decode_experiment(document(**members))


def problems_of(**members: Any) -> set[tuple[str, str]]:
    """Field and code of all that is wrong with a document."""
    try:
        experiment(**members)
    except DefinitionInvalid as error:
        return {(one.field, one.code) for one in error.problems}
    return set()


def metrics() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"id": st.sampled_from(["m1", "m2", "signup"]), "type": st.sampled_from(["conversion", "count", "ratio"])},
        optional={
            "aggregation": st.sampled_from(["rate", "mean", "sum", "ratio"]),
            "isPrimary": st.booleans(),
            "role": st.sampled_from(["goal", "secondary", "guardrail"]),
            "eventName": st.sampled_from(["purchase", "", "ä b"]),
            "property": st.sampled_from([None, "revenue"]),
            "windowHours": st.sampled_from([None, 24, 0.5]),
            "cap": st.sampled_from([None, {"type": "percentile", "value": 0.99}, {"type": "absolute", "value": 3}]),
            "nonInferiorityMargin": st.sampled_from([None, 0.1]),
            "denominator": st.sampled_from([None, "m1", "m2", {"eventName": "visit"}]),
            "covariateDays": st.sampled_from([0, 14]),
        },
    )


def experiment_documents() -> st.SearchStrategy[dict[str, Any]]:
    """Mostly right, so that much of them is accepted."""
    variants = st.lists(
        st.fixed_dictionaries(
            {"id": st.sampled_from(["a", "b", "c", "control"]), "allocation": st.sampled_from([0, 1, 50, 0.5])},
            optional={"config": st.sampled_from([None, {"x": 1}, [1], "t"]), "isControl": st.just(False)},
        ),
        min_size=2,
        max_size=3,
        unique_by=lambda one: one["id"],
    ).map(lambda found: [{**found[0], "isControl": True}, *found[1:]])
    return st.fixed_dictionaries(
        {"name": st.sampled_from(["One", "Two", "Drei"]), "variants": variants},
        optional={
            "id": st.sampled_from(["e0", "e1", "e2"]),
            "status": st.sampled_from(["draft", "running", "running", "paused", "completed", "archived"]),
            "metrics": st.lists(
                st.sampled_from(RIGHT_METRICS) | metrics(), max_size=3, unique_by=lambda one: one["id"]
            ),
            "coverage": st.sampled_from([0, 0.3, 1]),
            "conditions": st.just([]) | conditions(),
            "namespace": st.sampled_from([None, {"name": "n", "range": [0, 0.5]}, ["n", 0.5, 1]]),
            "hashAttribute": st.sampled_from(["id", "company"]),
            "plannedUsers": st.sampled_from([None, 1000]),
            "prior": st.sampled_from([None, {"mean": 0, "stdDev": 0.3}]),
            "segments": st.lists(st.sampled_from(["country", "source"]), max_size=2),
        },
    )
