"""Metrics of experiments as JSON documents. What a document leaves out is filled in, so that readers need no rules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from flags.experiment_model import Cap, Denominator, Metric, MetricType, Role
from flags.fields import LARGEST_WHOLE_NUMBER, Members, Problems, check_text

MAX_METRICS = 100
MAX_NAME_CHARACTERS = 200
MAX_WINDOW_HOURS = 24 * 366
MAX_COVARIATE_DAYS = 90

AGGREGATIONS: Mapping[str, tuple[str, ...]] = {
    "conversion": ("rate",),
    "count": ("mean", "sum"),
    "revenue": ("mean", "sum"),
    "duration": ("mean", "sum"),
    "ratio": ("ratio",),
}
"""How each type can be aggregated over users; the first one where nothing is said."""
_TYPES: Sequence[MetricType] = get_args(MetricType)
_ROLES: Sequence[Role] = get_args(Role)
_DEFAULT_PROPERTY: Mapping[str, str] = {"duration": "duration"}
_MEASURED_PROPERTY: Mapping[str, str] = {"revenue": "revenue", **_DEFAULT_PROPERTY}
"""The property that a metric of this type sums, by its name in events."""


def read_metrics(members: Members) -> tuple[Metric, ...]:
    """`metrics` of an experiment; a denominator that names another one becomes what that one measures."""
    named: dict[int, str] = {}

    def read(document: Any, path: str) -> Metric:
        index = len(read_so_far)
        metric, denominator = _read_metric(document, path, members.problems)
        read_so_far.append(metric)
        if denominator:
            named[index] = denominator
        return metric

    read_so_far: list[Metric] = []
    metrics = members.items("metrics", MAX_METRICS, read)
    _check_ids(metrics, members)
    return tuple(
        replace(one, denominator=_named_denominator(one, named[index], metrics, members, index))
        if index in named
        else one
        for index, one in enumerate(metrics)
    )


def encode_metric(metric: Metric) -> dict[str, Any]:
    """A metric as a document that says everything."""
    cap, denominator = metric.cap, metric.denominator
    return {
        "id": metric.id,
        "name": metric.name,
        "type": metric.type,
        "aggregation": metric.aggregation,
        "isPrimary": metric.is_primary,
        "role": metric.role,
        "eventName": metric.event_name,
        "property": metric.property,
        "windowHours": metric.window_hours,
        "cap": None if cap is None else {"type": cap.type, "value": cap.value},
        "direction": metric.direction,
        "nonInferiorityMargin": metric.non_inferiority_margin,
        "denominator": None
        if denominator is None
        else {"eventName": denominator.event_name, "property": denominator.property},
        "covariateDays": metric.covariate_days,
    }


def _read_metric(document: Any, path: str, problems: Problems) -> tuple[Metric, str]:
    """A metric, and the other metric that it divides by, if it names one."""
    members = Members(document, path, problems)
    key = members.key("id")
    kind = members.choice("type", _TYPES)
    possible = AGGREGATIONS.get(kind, ())
    aggregation = members.text("aggregation") or (possible[0] if possible else "")
    if possible and aggregation not in possible:
        message = f"A metric of type {kind} is aggregated by {' or '.join(possible)}, not by {aggregation}."
        problems.add(members.field("aggregation"), "not_allowed", message)
    is_primary = members.boolean("isPrimary", False)
    denominator, named = _denominator(members)
    metric = Metric(
        id=key,
        name=members.text("name", longest=MAX_NAME_CHARACTERS) or key,
        type=kind,  # type: ignore[arg-type]
        aggregation=aggregation,  # type: ignore[arg-type]
        event_name=members.text("eventName", longest=MAX_NAME_CHARACTERS) or key,
        is_primary=is_primary,
        role=members.choice("role", _ROLES, default="goal" if is_primary else "secondary"),  # type: ignore[arg-type]
        property=members.text("property", longest=MAX_NAME_CHARACTERS) or _DEFAULT_PROPERTY.get(kind),
        window_hours=_positive(members, "windowHours", MAX_WINDOW_HOURS),
        cap=_cap(members),
        direction=members.choice("direction", ("increase", "decrease"), default="increase"),  # type: ignore[arg-type]
        non_inferiority_margin=_positive(members, "nonInferiorityMargin", LARGEST_WHOLE_NUMBER),
        denominator=denominator,
        covariate_days=members.whole("covariateDays", 14, 0, MAX_COVARIATE_DAYS),
    )
    members.finish()
    _check(metric, members, has_denominator=denominator is not None or bool(named))
    return metric, named


def _check(metric: Metric, members: Members, *, has_denominator: bool) -> None:
    add = members.problems.add
    if metric.is_primary and metric.role != "goal":
        add(members.field("role"), "conflict", f"A primary metric is a goal, not a {metric.role}.")
    if metric.type == "ratio" and not has_denominator:
        message = 'A ratio divides by something: give {"eventName", "property"}, or the id of another metric.'
        add(members.field("denominator"), "field_missing", message)
    if metric.type != "ratio" and has_denominator:
        add(members.field("denominator"), "conflict", "Only a metric of type ratio has a denominator.")
    if metric.role == "guardrail" and metric.non_inferiority_margin is None:
        message = "A guardrail needs a margin: how much worse, in units of the metric, would still do."
        add(members.field("nonInferiorityMargin"), "field_missing", message)
    if metric.role != "guardrail" and metric.non_inferiority_margin is not None:
        add(members.field("nonInferiorityMargin"), "conflict", "Only a metric with the role guardrail has a margin.")
    if metric.type == "conversion" and metric.property is not None:
        message = "A conversion counts users, not values: leave property out, or choose another type."
        add(members.field("property"), "conflict", message)
    if metric.type == "conversion" and metric.cap is not None:
        add(members.field("cap"), "conflict", "A conversion is 0 or 1 for each user: leave cap out.")


def _check_ids(metrics: Sequence[Metric], members: Members) -> None:
    ids = [one.id for one in metrics]
    for index, key in enumerate(ids):
        if key and key in ids[:index]:
            message = f"{key} is there twice; give each metric its own id."
            members.problems.add(f"{members.field('metrics')}[{index}].id", "duplicate", message)


def _denominator(members: Members) -> tuple[Denominator | None, str]:
    path, document = members.field("denominator"), members.take("denominator")
    if isinstance(document, str):
        return None, document if check_text(document, path, members.problems) else ""
    if document is None:
        return None, ""
    inner = Members(document, path, members.problems)
    found = Denominator(
        inner.text("eventName", is_required=True, longest=MAX_NAME_CHARACTERS),
        inner.text("property", longest=MAX_NAME_CHARACTERS) or None,
    )
    inner.finish()
    return found, ""


def _named_denominator(
    metric: Metric, name: str, metrics: Sequence[Metric], members: Members, index: int
) -> Denominator | None:
    path = f"{members.field('metrics')}[{index}].denominator"
    other = next((one for one in metrics if one.id == name), None)
    if other is None:
        message = f'There is no metric {name[:MAX_NAME_CHARACTERS]} here; add it, or give {{"eventName", "property"}}.'
        members.problems.add(path, "metric_unknown", message)
        return None
    if other.type == "ratio":
        members.problems.add(path, "conflict", "A ratio cannot be divided by a ratio, nor by itself.")
        return None
    return Denominator(other.event_name, other.property or _MEASURED_PROPERTY.get(other.type))


def _cap(members: Members) -> Cap | None:
    if not members.has("cap"):
        return None
    inner = Members(members.take("cap"), members.field("cap"), members.problems)
    kind = inner.choice("type", ("absolute", "percentile"))
    value = _positive(inner, "value", LARGEST_WHOLE_NUMBER, is_required=True)
    inner.finish()
    if value is None:
        return None
    if kind == "percentile" and value >= 1:
        message = "A percentile is between 0 and 1, both excluded: 0.99 for the 99th."
        inner.problems.add(inner.field("value"), "out_of_range", message)
    return Cap(kind, value)  # type: ignore[arg-type]


def _positive(members: Members, name: str, high: float, *, is_required: bool = False) -> float | None:
    """A number above 0; None where there is none, or where it is wrong, which is noted."""
    if not members.has(name):
        if is_required:
            members.problems.add(members.field(name), "field_missing", f"{name} is required.")
        return None
    before = len(members.problems.found)
    value = members.number(name, 0, 0, high)
    if value <= 0 and len(members.problems.found) == before:
        members.problems.add(members.field(name), "out_of_range", f"{name} must be more than 0.")
    return value if value > 0 else None
