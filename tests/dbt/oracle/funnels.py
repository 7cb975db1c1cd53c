"""How far visitors came on the way from the first step of a funnel to its last."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from tests.dbt.oracle.history import History
from tests.dbt.oracle.staging import Event


class FunnelStep(NamedTuple):
    funnel_name: str
    entry_date: date
    step_number: int
    step_name: str
    visitor_count: int
    conversion_rate: float | None
    step_conversion_rate: float | None
    window_seconds: float


def funnels(history: History) -> Iterator[FunnelStep]:
    for funnel in history.declared.variables["funnels"]:
        steps, window = funnel["steps"], length(funnel["window"])
        reached = levels(history, steps, window)
        for day in {day for _, day in reached}:
            levels_of_day = [level for (_, entry_day), level in reached.items() if entry_day == day]
            counts = [sum(level >= number for level in levels_of_day) for number in range(1, len(steps) + 1)]
            for number, (step, count) in enumerate(zip(steps, counts, strict=True), start=1):
                before = counts[number - 2] if number > 1 else 0
                yield FunnelStep(
                    funnel_name=funnel["name"],
                    entry_date=day,
                    step_number=number,
                    step_name=step,
                    visitor_count=count,
                    conversion_rate=count / counts[0],
                    step_conversion_rate=count / before if before else None,
                    window_seconds=window.total_seconds(),
                )


def levels(history: History, steps: Sequence[str], window: timedelta) -> dict[tuple[str, date], int]:
    """Of each visitor and day with a first step, the furthest step that an entry on that day led to."""
    reached: dict[tuple[str, date], int] = defaultdict(int)
    for visitor, events in history.events_by_visitor.items():
        for first in events:
            if first.event_name == steps[0]:
                level = chain_length(first, events, steps, window)
                reached[visitor, first.day] = max(reached[visitor, first.day], level)
    return reached


def chain_length(first: Event, events: Sequence[Event], steps: Sequence[str], window: timedelta) -> int:
    """Steps done one after the other, or at the same time, within the window: each as early as it can be."""
    at = first.occurred_at
    for number, step in enumerate(steps[1:], start=1):
        times = [event.occurred_at for event in events if event.event_name == step and event.occurred_at >= at]
        if not times or min(times) - first.occurred_at > window:
            return number
        at = min(times)
    return len(steps)


def length(window: str) -> timedelta:
    count, unit = window.split()
    return timedelta(**{f"{unit.rstrip('s')}s": int(count)})
