"""Experiments as documents: what is accepted, what is filled in, and what is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.experiment_codec import decode_experiment, encode_experiment, key_of_name
from flags.problems import DefinitionInvalid
from tests.flags.experiments_given import (
    CUSTOMERS_TEST,
    SIGNUP,
    TWO_VARIANTS,
    document,
    experiment,
    experiment_documents,
    problems_of,
)


def test_customers_body_becomes_a_document_that_says_everything() -> None:
    stored = encode_experiment(decode_experiment(CUSTOMERS_TEST))

    assert stored == {
        "id": "homepage-redesign",
        "name": "Homepage Redesign",
        "description": "",
        "hypothesis": "",
        "status": "running",
        "variants": [
            {
                "id": "control",
                "name": "Control",
                "description": "",
                "allocation": 50,
                "config": {"layout": "original"},
                "isControl": True,
            },
            {
                "id": "variant_a",
                "name": "New Design",
                "description": "",
                "allocation": 50,
                "config": {"layout": "new"},
                "isControl": False,
            },
        ],
        "metrics": [
            {
                "id": "conversion",
                "name": "Conversion Rate",
                "type": "conversion",
                "aggregation": "rate",
                "isPrimary": True,
                "role": "goal",
                "eventName": "conversion",
                "property": None,
                "windowHours": None,
                "cap": None,
                "direction": "increase",
                "nonInferiorityMargin": None,
                "denominator": None,
                "covariateDays": 14,
            }
        ],
        "phases": [],
        "hashAttribute": "id",
        "seed": "homepage-redesign",
        "coverage": 1.0,
        "conditions": [],
        "namespace": None,
        "confidenceLevel": 0.95,
        "plannedUsers": None,
        "segments": [],
        "correction": "holm",
        "prior": None,
        "flagKey": None,
        "guardrailPolicy": "none",
        "decision": None,
        "startedAt": None,
        "endedAt": None,
        "version": 1,
        "createdBy": "admin",
        "updatedBy": "",
    }


@given(made=experiment_documents())
def test_document_is_read_back_as_the_same_experiment(made: dict[str, Any]) -> None:
    try:
        first = decode_experiment(made)
    except DefinitionInvalid:
        return

    stored = json.loads(json.dumps(encode_experiment(first), allow_nan=False))

    assert decode_experiment(stored) == first
    assert encode_experiment(decode_experiment(stored)) == stored
    assert abs(sum(first.shares().values()) - 1) < 1e-9


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
        max_leaves=8,
    ),
    place=st.sampled_from(
        [
            "variants",
            "metrics",
            "phases",
            "namespace",
            "prior",
            "segments",
            "decision",
            "conditions",
            "status",
            "plannedUsers",
        ]
    ),
)
def test_hostile_member_is_refused_or_can_be_read_back(value: Any, place: str) -> None:
    try:
        found = decode_experiment(document(**{place: value}))
    except DefinitionInvalid:
        return

    assert decode_experiment(encode_experiment(found)) == found


def test_everything_optional_is_read() -> None:
    found = experiment(
        id="prices",
        hypothesis="Cheaper sells more",
        hashAttribute="company",
        seed="s",
        coverage=0.5,
        conditions=[{"attribute": "country", "operator": "equals", "value": "US"}],
        namespace={"name": "shop", "range": [0, 0.5]},
        confidenceLevel=0.9,
        plannedUsers=1000,
        segments=["country", "device_type", "country"],
        correction="bh",
        prior={"mean": 0, "stdDev": 0.3},
        flagKey="checkout",
        guardrailPolicy="disable_flag",
    )

    assert (found.namespace.low, found.namespace.high) == (0, 0.5)
    assert (found.prior.mean, found.prior.std_dev) == (0, 0.3)
    assert found.segments == ("country", "device_type")
    assert (found.planned_users, found.confidence_level, found.correction) == (1000, 0.9, "bh")
    assert (found.flag_key, found.guardrail_policy, found.seed) == ("checkout", "disable_flag", "s")


@pytest.mark.parametrize("allocations", [(50, 50), (0.5, 0.5), (1, 1), (None, None)])
def test_allocations_are_shares_of_their_sum(allocations: tuple[float | None, float | None]) -> None:
    variants = [{**variant, "allocation": share} for variant, share in zip(TWO_VARIANTS, allocations, strict=True)]

    assert experiment(variants=variants).shares() == {"control": 0.5, "new": 0.5}


def variants(*allocations: Any, controls: int = 1) -> list[dict[str, Any]]:
    return [
        {"id": f"v{index}", "allocation": share, "isControl": index < controls}
        for index, share in enumerate(allocations)
    ]


@pytest.mark.parametrize(
    ("members", "field", "code"),
    [
        ({"variants": []}, "variants", "field_missing"),
        ({"variants": variants(1)}, "variants", "field_missing"),
        ({"variants": variants(1, 1, controls=0)}, "variants", "control_count"),
        ({"variants": variants(1, 1, controls=2)}, "variants", "control_count"),
        ({"variants": variants(0, 0)}, "variants", "allocation_invalid"),
        ({"variants": variants(-1, 2)}, "variants[0].allocation", "out_of_range"),
        ({"variants": variants(float("nan"), 1)}, "variants[0].allocation", "out_of_range"),
        ({"variants": variants(float("inf"), 1)}, "variants[0].allocation", "out_of_range"),
        ({"variants": variants("50", 1)}, "variants[0].allocation", "wrong_type"),
        ({"variants": variants(1, None)}, "variants[1].allocation", "field_missing"),
        ({"variants": [*TWO_VARIANTS, {"id": "new"}]}, "variants[2].id", "duplicate"),
        ({"variants": [*TWO_VARIANTS, {"id": "x", "value": 1}]}, "variants[2].value", "field_unknown"),
        ({"status": "stopped"}, "status", "not_allowed"),
        ({"status": "running", "metrics": []}, "metrics", "field_missing"),
        ({"name": " "}, "name", "field_missing"),
        ({"name": "日本"}, "id", "field_missing"),
        ({"id": "no space"}, "id", "not_allowed"),
        ({"segments": ["shoe_size"]}, "segments[0]", "not_allowed"),
        ({"confidenceLevel": 95}, "confidenceLevel", "out_of_range"),
        ({"confidenceLevel": 1}, "confidenceLevel", "out_of_range"),
        ({"plannedUsers": 2.5}, "plannedUsers", "wrong_type"),
        ({"namespace": {"name": "n", "range": [0.5, 0.5]}}, "namespace.range", "conflict"),
        ({"namespace": {"name": "n", "range": [0]}}, "namespace.range", "wrong_type"),
        ({"namespace": {"name": "n", "range": [0, 2]}}, "namespace.range.to", "out_of_range"),
        ({"prior": {"stdDev": 0}}, "prior.stdDev", "out_of_range"),
        ({"guardrailPolicy": "disable_flag"}, "flagKey", "field_missing"),
        ({"correction": "bonferroni"}, "correction", "not_allowed"),
        ({"coverage": 50}, "coverage", "out_of_range"),
        ({"colour": "red"}, "colour", "field_unknown"),
    ],
)
def test_wrong_member_is_named(members: dict[str, Any], field: str, code: str) -> None:
    assert (field, code) in problems_of(**members)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = problems_of(status="x", coverage=2, variants=[{"id": "a"}], metrics=[{"id": "m", "type": "sales"}])

    assert {field for field, _ in found} == {"status", "coverage", "variants", "metrics[0].type"}


def test_null_is_as_good_as_absent() -> None:
    optional = ["description", "namespace", "prior", "flagKey", "plannedUsers", "decision", "phases", "status", "seed"]

    assert experiment(**dict.fromkeys(optional)) == experiment()
    assert experiment(metrics=[{**SIGNUP, "cap": None, "direction": None, "role": None}]) == experiment()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Homepage Redesign", "homepage-redesign"),
        ("  50 % off -- now! ", "50-off-now"),
        ("Größe & Café", "groe-cafe"),
        ("日本", ""),
        ("x" * 200, "x" * 128),
    ],
)
def test_key_is_made_of_the_name(name: str, key: str) -> None:
    assert key_of_name(name) == key
