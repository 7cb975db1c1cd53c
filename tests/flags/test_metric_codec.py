"""Metrics of experiments as documents."""

from typing import Any

import pytest

from flags.experiment_model import Denominator, Metric
from tests.flags.experiments_given import SIGNUP, experiment, problems_of


def metric(**members: Any) -> Metric:
    return experiment(metrics=[{"id": "m", **members}]).metrics[0]


@pytest.mark.parametrize(
    ("kind", "aggregation", "property_name"),
    [
        ("conversion", "rate", None),
        ("count", "mean", None),
        ("revenue", "mean", None),
        ("duration", "mean", "duration"),
    ],
)
def test_type_brings_its_aggregation_and_property(kind: str, aggregation: str, property_name: str | None) -> None:
    found = metric(type=kind)

    assert (found.aggregation, found.property, found.event_name) == (aggregation, property_name, "m")
    assert (found.role, found.direction, found.covariate_days) == ("secondary", "increase", 14)


def test_primary_metric_is_a_goal() -> None:
    assert metric(type="conversion", isPrimary=True).role == "goal"


@pytest.mark.parametrize(
    ("members", "field", "code"),
    [
        ({"type": "sales"}, "type", "not_allowed"),
        ({}, "type", "field_missing"),
        ({"type": "conversion", "aggregation": "mean"}, "aggregation", "not_allowed"),
        ({"type": "count", "aggregation": "rate"}, "aggregation", "not_allowed"),
        ({"type": "revenue", "aggregation": "ratio"}, "aggregation", "not_allowed"),
        ({"type": "ratio", "aggregation": "sum", "denominator": {"eventName": "v"}}, "aggregation", "not_allowed"),
        ({"type": "ratio"}, "denominator", "field_missing"),
        ({"type": "ratio", "denominator": {"property": "x"}}, "denominator.eventName", "field_missing"),
        ({"type": "ratio", "denominator": "nothing"}, "denominator", "metric_unknown"),
        ({"type": "ratio", "denominator": "m"}, "denominator", "conflict"),
        ({"type": "count", "denominator": {"eventName": "v"}}, "denominator", "conflict"),
        ({"type": "conversion", "property": "x"}, "property", "conflict"),
        ({"type": "conversion", "cap": {"type": "absolute", "value": 1}}, "cap", "conflict"),
        ({"type": "count", "cap": {"type": "percentile", "value": 99}}, "cap.value", "out_of_range"),
        ({"type": "count", "cap": {"type": "absolute", "value": 0}}, "cap.value", "out_of_range"),
        ({"type": "count", "cap": {"type": "absolute"}}, "cap.value", "field_missing"),
        ({"type": "count", "cap": {"type": "median", "value": 1}}, "cap.type", "not_allowed"),
        ({"type": "count", "role": "guardrail"}, "nonInferiorityMargin", "field_missing"),
        ({"type": "count", "nonInferiorityMargin": 1}, "nonInferiorityMargin", "conflict"),
        ({"type": "count", "role": "guardrail", "nonInferiorityMargin": -1}, "nonInferiorityMargin", "out_of_range"),
        ({"type": "count", "role": "guardrail", "isPrimary": True, "nonInferiorityMargin": 1}, "role", "conflict"),
        ({"type": "count", "windowHours": 0}, "windowHours", "out_of_range"),
        ({"type": "count", "windowHours": "24"}, "windowHours", "wrong_type"),
        ({"type": "count", "covariateDays": 1.5}, "covariateDays", "wrong_type"),
        ({"type": "count", "direction": "up"}, "direction", "not_allowed"),
        ({"type": "count", "percentile": 0.9}, "percentile", "field_unknown"),
    ],
)
def test_wrong_metric_is_named(members: dict[str, Any], field: str, code: str) -> None:
    assert (f"metrics[0].{field}", code) in problems_of(metrics=[{"id": "m", **members}])


def test_two_metrics_of_one_id_are_refused() -> None:
    assert problems_of(metrics=[SIGNUP, SIGNUP]) == {("metrics[1].id", "duplicate")}


@pytest.mark.parametrize(
    ("other", "denominator"),
    [
        ({"type": "count", "eventName": "visit"}, Denominator("visit")),
        ({"type": "count", "eventName": "visit", "property": "pages"}, Denominator("visit", "pages")),
        ({"type": "revenue", "eventName": "purchase"}, Denominator("purchase", "revenue")),
        ({"type": "duration"}, Denominator("other", "duration")),
    ],
)
def test_ratio_divides_by_what_another_metric_measures(other: dict[str, Any], denominator: Denominator) -> None:
    ratio = {"id": "m", "type": "ratio", "denominator": "other"}

    found = experiment(metrics=[ratio, {"id": "other", **other}])

    assert found.metrics[0].denominator == denominator
