"""Marts of who came back."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

from tests.dbt.oracle.history import History


class Granularity(NamedTuple):
    """Days, weeks from Monday, or months, all of them numbered through."""

    number: Callable[[date], int]
    start: Callable[[int], date]


GRANULARITIES = {
    "day": Granularity(date.toordinal, date.fromordinal),
    "week": Granularity(
        lambda day: (day.toordinal() - 1) // 7,
        lambda number: date.fromordinal(number * 7 + 1),
    ),
    "month": Granularity(
        lambda day: day.year * 12 + day.month - 1,
        lambda number: date(number // 12, number % 12 + 1, 1),
    ),
}


class Retained(NamedTuple):
    granularity: str
    cohort_date: date
    period_number: int
    period_date: date
    is_complete: bool
    cohort_size: int
    retained_visitor_count: int
    retention_rate: float


def retention(history: History) -> Iterator[Retained]:
    """Active in just that period."""
    return _retention(history, lambda period, active: period in active)


def rolling_retention(history: History) -> Iterator[Retained]:
    """Active in that period or a later one."""
    return _retention(history, lambda period, active: max(active) >= period)


def _retention(history: History, is_retained: Callable[[int, set[int]], bool]) -> Iterator[Retained]:
    last_day = history.calendar[-1]
    for name, (number, start) in GRANULARITIES.items():
        cohorts = defaultdict(list)
        for days in history.visitor_days.values():
            active = {number(day) for day in days}
            cohorts[min(active)].append(active)
        followed = history.declared.variables["retention_periods"][name]
        for cohort, visitors in cohorts.items():
            for period in range(cohort, min(cohort + followed, number(last_day)) + 1):
                retained = sum(is_retained(period, active) for active in visitors)
                yield Retained(
                    granularity=name,
                    cohort_date=start(cohort),
                    period_number=period - cohort,
                    period_date=start(period),
                    is_complete=start(period + 1) <= last_day,
                    cohort_size=len(visitors),
                    retained_visitor_count=retained,
                    retention_rate=retained / len(visitors),
                )


class LifecycleDay(NamedTuple):
    activity_date: date
    new_users: int
    returning_users: int
    resurrecting_users: int
    dormant_users: int
    quick_ratio: float | None


class LifecycleWeek(NamedTuple):
    week_date: date
    new_users: int
    returning_users: int
    resurrecting_users: int
    dormant_users: int
    quick_ratio: float | None


def lifecycle_daily(history: History) -> Iterator[LifecycleDay]:
    for day, *figures in _lifecycle(history, "day"):
        yield LifecycleDay(day, *figures)


def lifecycle_weekly(history: History) -> Iterator[LifecycleWeek]:
    for week, *figures in _lifecycle(history, "week"):
        yield LifecycleWeek(week, *figures)


def _lifecycle(history: History, granularity: str) -> Iterator[tuple[date, int, int, int, int, float | None]]:
    number, start = GRANULARITIES[granularity]
    periods = [{number(day) for day in days} for days in history.visitor_days.values()]
    for period in range(number(history.calendar[0]), number(history.calendar[-1]) + 1):
        new = sum(min(active) == period for active in periods)
        returning = sum({period - 1, period} <= active for active in periods)
        resurrecting = sum(period in active for active in periods) - new - returning
        dormant = sum(period - 1 in active and period not in active for active in periods)
        ratio = (new + resurrecting) / dormant if dormant else None
        yield start(period), new, returning, resurrecting, dormant, ratio
