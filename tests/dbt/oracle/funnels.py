"""How far visitors came on the way from the first step of a funnel to its last, and how long it took them."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from tests.dbt.oracle.history import History
from tests.dbt.oracle.sessions import channel
from tests.dbt.oracle.staging import Event

PERCENTILES = (0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Moment:
    """An event, and the steps that it can be."""

    event: Event
    steps: tuple[int, ...]


class FunnelStep(NamedTuple):
    funnel_name: str
    entry_date: date
    step_number: int
    step_name: str
    visitor_count: int
    conversion_rate: float
    step_conversion_rate: float | None
    drop_off_count: int | None
    drop_off_rate: float | None
    step_seconds_p50: float | None
    step_seconds_p90: float | None
    total_seconds_p50: float | None
    total_seconds_p90: float | None
    window_seconds: float
    step_order: str


def funnels(history: History) -> Iterator[FunnelStep]:
    for funnel in history.declared.variables["funnels"]:
        days = defaultdict(list)
        for (_, day), chain in deepest_chains(history, funnel).items():
            days[day].append(chain)
        for day, chains in days.items():
            yield from _steps(funnel, day, chains)


class DimensionStep(NamedTuple):
    funnel_name: str
    entry_date: date
    dimension: str
    dimension_value: str
    step_number: int
    step_name: str
    visitor_count: int
    conversion_rate: float
    step_conversion_rate: float | None
    total_seconds_p50: float | None
    total_seconds_p90: float | None


def funnels_by_dimension(history: History) -> Iterator[DimensionStep]:
    for funnel in history.declared.variables["funnels"]:
        slices = defaultdict(list)
        for (visitor, day), chain in deepest_chains(history, funnel).items():
            for dimension, value in _dimensions(history, funnel, visitor, chain[0]):
                slices[day, dimension, value].append(chain)
        for (day, dimension, value), chains in slices.items():
            for step in _steps(funnel, day, chains):
                figures = {name: getattr(step, name) for name in DimensionStep._fields if hasattr(step, name)}
                yield DimensionStep(**figures, dimension=dimension, dimension_value=value)


def _dimensions(
    history: History, funnel: Mapping[str, Any], visitor: str, entered_at: datetime
) -> Iterator[tuple[str, str]]:
    """Of several first steps at one time the one with the least attributes, and of these the least session id."""
    breakdowns = funnel.get("breakdowns", [])
    names = [breakdown["column"] for breakdown in breakdowns if "column" in breakdown]
    first_steps = funnel["steps"] if funnel.get("order") == "any" else funnel["steps"][:1]
    *columns, client_session_id = min(
        (*(getattr(event, name) for name in names), event.client_session_id)
        for event in history.events_by_visitor[visitor]
        if event.occurred_at == entered_at and any(is_step(event, step) for step in first_steps)
    )
    yield from zip(names, columns, strict=True)
    for breakdown in breakdowns:
        if "session" in breakdown:
            begun = [
                session
                for session in history.sessions_of_visitor[visitor]
                if session.client_session_id == client_session_id and session.started_at <= entered_at
            ]
            yield breakdown["session"], {"channel": channel(begun[-1].origin, history.declared)}[breakdown["session"]]
        if "visitor" in breakdown:
            is_new = min(history.visitor_days[visitor]) == entered_at.date()
            yield breakdown["visitor"], "new" if is_new else "returning"


def _steps(funnel: Mapping[str, Any], day: date, chains: list[list[datetime]]) -> Iterator[FunnelStep]:
    names = _step_names(funnel)
    for number, name in enumerate(names, start=1):
        reached = [chain for chain in chains if len(chain) >= number]
        before = sum(len(chain) >= number - 1 for chain in chains) if number > 1 else 0
        rate = len(reached) / before if before else None
        durations: list[float | None] = [None] * (2 * len(PERCENTILES))
        if number > 1 and reached:
            since_step = [chain[number - 1] - chain[number - 2] for chain in reached]
            since_entry = [chain[number - 1] - chain[0] for chain in reached]
            durations = [percentile(sample, share) for sample in (since_step, since_entry) for share in PERCENTILES]
        yield FunnelStep(
            funnel["name"],
            day,
            number,
            name,
            len(reached),
            len(reached) / len(chains),
            rate,
            before - len(reached) if number > 1 else None,
            None if rate is None else 1 - rate,
            *durations,
            window_seconds=length(funnel["window"]).total_seconds(),
            step_order=funnel.get("order", "ordered"),
        )


def deepest_chains(history: History, funnel: Mapping[str, Any]) -> dict[tuple[str, date], list[datetime]]:
    """Of each visitor and day with a first step, when the steps were done: of equally deep chains of the one that is
    complete first, and of these of the one that began last. Of those with one step alone the first one counts.
    """
    order, window = funnel.get("order", "ordered"), length(funnel["window"])
    chains: dict[tuple[str, date], list[list[datetime]]] = defaultdict(list)
    for visitor, events in history.events_by_visitor.items():
        moments = moments_of(events, funnel["steps"])
        for position, moment in enumerate(moments):
            if moment.steps if order == "any" else 0 in moment.steps:
                chain = CHAINS[order](moments[position:], len(funnel["steps"]), window)
                chains[visitor, moment.event.day].append(chain)
    # Of those that began at the same time the first one stays.
    return {
        key: min(found, key=lambda chain: (-len(chain), chain[-1], -chain[0].timestamp()))
        for key, found in chains.items()
    }


def moments_of(events: Sequence[Event], steps: Sequence[Any]) -> list[Moment]:
    """In the order of time; at the same time the earlier steps come first."""
    moments = [Moment(event, tuple(n for n, step in enumerate(steps) if is_step(event, step))) for event in events]
    return sorted(moments, key=lambda moment: (moment.event.occurred_at, sum(2**step for step in moment.steps)))


def _ordered(moments: Sequence[Moment], count: int, window: timedelta) -> list[datetime]:
    chain = [moments[0].event.occurred_at]
    for moment in moments[1:]:
        if len(chain) < count and len(chain) in moment.steps and moment.event.occurred_at <= chain[0] + window:
            chain.append(moment.event.occurred_at)
    return chain


def _strict(moments: Sequence[Moment], count: int, window: timedelta) -> list[datetime]:
    chain = [moments[0].event.occurred_at]
    for moment in moments[1:count]:
        if len(chain) not in moment.steps or moment.event.occurred_at > chain[0] + window:
            break
        chain.append(moment.event.occurred_at)
    return chain


def _any(moments: Sequence[Moment], count: int, window: timedelta) -> list[datetime]:
    chain, done = [], set[int]()
    for moment in moments:
        is_open = [step for step in moment.steps if step not in done]
        if is_open and moment.event.occurred_at <= moments[0].event.occurred_at + window:
            done.add(is_open[0])
            chain.append(moment.event.occurred_at)
    return chain


CHAINS: Mapping[str, Callable[[Sequence[Moment], int, timedelta], list[datetime]]] = {
    "ordered": _ordered,
    "strict": _strict,
    "any": _any,
}


def is_step(event: Event, step: Any) -> bool:
    form = step if isinstance(step, Mapping) else {"event": step}
    names = [form["event"]] if isinstance(form["event"], str) else form["event"]
    return event.event_name in names and all(holds(event, condition) for condition in form.get("where", []))


def holds(event: Event, condition: Mapping[str, Any]) -> bool:
    """The conditions that the streams are asked."""
    text = str(event.properties.get(condition["property"], ""))
    value = condition.get("value")
    match condition.get("operator", "equals"):
        case "equals":
            return text == value
        case "gte":
            return re.fullmatch(r"-?[\d.]+(e-?\d+)?", text) is not None and float(text) >= float(value)
        case operator:
            raise NotImplementedError(operator)


def _step_names(funnel: Mapping[str, Any]) -> list[str]:
    """Without an order there is no second step, only a second one of the steps."""
    count = len(funnel["steps"])
    if funnel.get("order") == "any":
        return [f"any {number} of {count}" for number in range(1, count + 1)]
    forms = [step if isinstance(step, Mapping) else {"event": step} for step in funnel["steps"]]
    return [
        form.get("name") or (form["event"] if isinstance(form["event"], str) else " or ".join(form["event"]))
        for form in forms
    ]


def percentile(sample: Sequence[timedelta], share: float) -> float:
    """Seconds; between two values in proportion to their distance."""
    ordered = sorted(duration / timedelta(milliseconds=1) for duration in sample)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return (ordered[below] + (ordered[above] - ordered[below]) * (position - below)) / 1000


def length(window: str) -> timedelta:
    count, unit = window.split()
    return timedelta(**{f"{unit.rstrip('s')}s": int(count)})
