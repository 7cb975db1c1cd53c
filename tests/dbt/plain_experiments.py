"""What experiments must say of a list of events, counted day by day from the beginning: slow, and plain to read."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

Definition: TypeAlias = Mapping[str, Any]
Key: TypeAlias = tuple[str, str, str, str, str, date]
"""Experiment, metric, variant, dimension, its value, day."""

FORMS = {
    "experiment_exposure": (("experimentKey", "experiment_id", "experimentId", "experiment"), ("variant", "variantId")),
    "$$experiment_viewed": (("experiment_id", "experimentId"), ("variation_id", "variation_key")),
}
"""Names of properties by which exposures name an experiment and a variant."""
FLAG_EXPOSURE = "$feature_flag_called"


@dataclass(frozen=True, slots=True)
class Deed:
    """An event, under the person who did it."""

    event_id: str
    name: str
    person: str
    occurred_at: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)
    country: str = ""
    device_type: str = ""
    amount: Decimal | None = None
    """Revenue in the reporting currency."""
    is_bot: bool = False

    @property
    def moment(self) -> tuple[datetime, str]:
        return self.occurred_at, self.event_id


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def days_of(definition: Definition, first: date) -> list[date]:
    """From the first exposure to the last day of an experiment that has ended."""
    count = (moment_of(definition["endedAt"]).date() - first).days + 1
    return [first + timedelta(days=number) for number in range(count)]


def exposures(definition: Definition, deeds: Iterable[Deed]) -> dict[str, list[tuple[Deed, str]]]:
    """Exposures of each person in their order, with the variant: "?" and what was said for an unknown one."""
    begin, end = moment_of(definition["startedAt"]), moment_of(definition["endedAt"])
    ids = [variant["id"] for variant in definition["variants"]]
    found: dict[str, list[tuple[Deed, str]]] = {}
    for deed in sorted(deeds, key=lambda deed: deed.moment):
        said = _said(definition, deed)
        if said is None or deed.is_bot or not begin <= deed.occurred_at < end:
            continue
        is_place = said not in ids and said.isdigit() and int(said) < len(ids)
        variant = ids[int(said)] if is_place else said if said in ids else f"?{said}"
        found.setdefault(deed.person, []).append((deed, variant))
    return found


def _said(definition: Definition, deed: Deed) -> str | None:
    if deed.name == FLAG_EXPOSURE:
        flag, of = deed.properties["$feature_flag"], deed.properties.get("$feature_flag_experiment")
        is_of_it = definition["id"] in (flag, of) or (definition["flagKey"] and flag == definition["flagKey"])
        said = str(deed.properties["$feature_flag_variant"])
        return said if is_of_it and said not in ("", "false") else None
    if deed.name not in FORMS:
        return None
    keys, variants = FORMS[deed.name]
    if definition["id"] not in (deed.properties.get(key) for key in keys):
        return None
    return next((str(deed.properties[name]) for name in variants if name in deed.properties), "")


def _value(deeds: Iterable[Deed], event_name: str, prop: str | None, kind: str) -> Decimal:
    """What these events add up to, for a metric of this kind."""
    mine = [deed for deed in deeds if deed.name == event_name and not deed.is_bot]
    if kind == "conversion":
        return Decimal(min(len(mine), 1))
    if kind == "revenue" and prop is None:
        return sum((deed.amount for deed in mine if deed.amount is not None), Decimal(0))
    if prop is None:
        return Decimal(len(mine))
    return sum((number for deed in mine if (number := _number(deed.properties.get(prop))) is not None), Decimal(0))


def _number(said: Any) -> Decimal | None:
    try:
        return Decimal(str(said))
    except ArithmeticError:
        return None


def moments(definition: Definition, deeds: list[Deed]) -> dict[Key, tuple[Any, ...]]:
    """Every row of experiment_metric_aggregates of an experiment that has ended."""
    seen = exposures(definition, deeds)
    firsts = [shown[0][0].occurred_at.date() for person, shown in seen.items() if _arm(shown, shown[0][0])]
    if not firsts:
        return {}
    of: dict[str, list[Deed]] = {}
    for deed in deeds:
        of.setdefault(deed.person, []).append(deed)
    found: dict[Key, tuple[Any, ...]] = {}
    parts = {("", "")} | {
        (segment, getattr(shown[0][0], segment))
        for segment in definition["segments"]
        for shown in seen.values()
        if _arm(shown, shown[0][0])
    }
    for metric in definition["metrics"]:
        for day in days_of(definition, min(firsts)):
            users = [
                (arm, shown[0][0], _values(definition, metric, shown[0][0], day, of[person]))
                for person, shown in seen.items()
                if (arm := _arm_at_the_end_of(day, shown))
            ]
            cap = _cap(metric, [value for _, _, (value, _, _) in users])
            for variant in definition["variants"]:
                for part in parts:
                    mine = [
                        values
                        for arm, first, values in users
                        if arm == variant["id"] and (part[0] == "" or getattr(first, part[0]) == part[1])
                    ]
                    key = (definition["id"], metric["id"], variant["id"], *part, day)
                    found[key] = _moments(metric, mine, cap)
    return found


def _arm(shown: list[tuple[Deed, str]], first: Deed) -> str | None:
    return _arm_at_the_end_of(first.occurred_at.date(), shown)


def _arm_at_the_end_of(day: date, shown: list[tuple[Deed, str]]) -> str | None:
    """The one variant that was seen until then, if it is one that the experiment has."""
    variants = {variant for deed, variant in shown if deed.occurred_at.date() <= day}
    return next(iter(variants)) if len(variants) == 1 and not next(iter(variants)).startswith("?") else None


def _values(
    definition: Definition, metric: Mapping[str, Any], first: Deed, day: date, deeds: list[Deed]
) -> tuple[Decimal, Decimal, Decimal]:
    """Value, denominator and covariate of a person."""
    start, end = first.occurred_at, moment_of(definition["endedAt"])
    window = timedelta(hours=metric["windowHours"]) if metric["windowHours"] else timedelta(days=9999)
    after = [d for d in deeds if start <= d.occurred_at < end and d.occurred_at <= start + window]
    after = [d for d in after if d.occurred_at.date() <= day]
    before = [d for d in deeds if start - timedelta(days=metric["covariateDays"]) <= d.occurred_at < start]
    named = (metric["eventName"], metric["property"], metric["type"])
    below = metric["denominator"]
    return (
        _value(after, *named),
        _value(after, below["eventName"], below["property"], "") if below else Decimal(0),
        _value(before, *named),
    )


def _cap(metric: Mapping[str, Any], values: list[Decimal]) -> Decimal | None:
    cap = metric["cap"]
    if cap is None or cap["type"] == "absolute":
        return cap and Decimal(str(cap["value"]))
    others = sorted(value for value in values if value)
    return others[max(math.ceil(Decimal(str(cap["value"])) * len(others)), 1) - 1] if others else None


def _moments(
    metric: Mapping[str, Any], values: list[tuple[Decimal, Decimal, Decimal]], cap: Decimal | None
) -> tuple[Any, ...]:
    capped = [
        (main, main if cap is None else min(main, cap), below, before if cap is None else min(before, cap))
        for main, below, before in values
    ]
    is_ratio, has_covariate = metric["type"] == "ratio", metric["type"] != "ratio" and metric["covariateDays"] > 0
    return (
        len(values),
        sum(main for _, main, _, _ in capped),
        sum(main * main for _, main, _, _ in capped),
        sum(below for _, _, below, _ in capped) if is_ratio else None,
        sum(below * below for _, _, below, _ in capped) if is_ratio else None,
        sum(main * below for _, main, below, _ in capped) if is_ratio else None,
        sum(before for _, _, _, before in capped) if has_covariate else None,
        sum(before * before for _, _, _, before in capped) if has_covariate else None,
        sum(main * before for _, main, _, before in capped) if has_covariate else None,
        sum(whole > main for whole, main, _, _ in capped),
        cap,
        sum(whole for whole, _, _, _ in capped),
    )


def arrivals(definition: Definition, deeds: list[Deed]) -> dict[tuple[str, str, date], tuple[int, int, int, float]]:
    """New, multiple and unknown users and the expected ones, by experiment, variant and day."""
    found: dict[tuple[str, str, date], tuple[int, int, int, float]] = {}

    def add(variant: str, day: date, *counts: float) -> None:
        key = (definition["id"], variant, day)
        found[key] = tuple(map(sum, zip(found.get(key, (0, 0, 0, 0.0)), counts, strict=True)))  # type: ignore[assignment]

    for shown in exposures(definition, deeds).values():
        first, variant = shown[0]
        day, saw_several = first.occurred_at.date(), len({variant for _, variant in shown}) > 1
        is_known = not variant.startswith("?")
        add(
            variant if is_known else "",
            day,
            is_known and not saw_several,
            saw_several,
            not is_known and not saw_several,
            0,
        )
        phases = [phase for phase in definition["phases"] if moment_of(phase["startedAt"]) <= first.occurred_at]
        shares = (phases or definition["phases"])[-1 if phases else 0]["allocations"]
        for one in definition["variants"]:
            counts = is_known and not saw_several and shares.get(variant, 0) > 0
            add(one["id"], day, 0, 0, 0, shares.get(one["id"], 0) if counts else 0)
    return found
