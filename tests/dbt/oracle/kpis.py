"""The mart of all metrics by day."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from tests.dbt.oracle.activity import active_users_daily
from tests.dbt.oracle.funnels import funnels
from tests.dbt.oracle.history import History
from tests.dbt.oracle.revenue import revenue_daily
from tests.dbt.oracle.sessions import Session, channel

Key: TypeAlias = tuple[date, str, str, str, str]
"""Day, metric, currency, dimension and its value."""
Parts: TypeAlias = tuple[Decimal | int, Decimal | int | None]
"""Numerator and, for a quotient, denominator."""


class Kpi(NamedTuple):
    kpi_date: date
    metric: str
    currency: str
    dimension: str
    dimension_value: str
    value: float | None
    numerator: Decimal | int
    denominator: Decimal | int | None
    value_week_before: float | None
    value_4_weeks_before: float | None
    value_52_weeks_before: float | None


def kpis_daily(history: History) -> Iterator[Kpi]:
    parts = dict(_parts(history))
    values = {key: _value(*figures) for key, figures in parts.items()}
    for (day, *series), (numerator, denominator) in parts.items():
        value, *earlier = (values.get((day - timedelta(days=days), *series)) for days in (0, 7, 28, 364))
        yield Kpi(day, *series, value, numerator, denominator, *earlier)


def _value(numerator: Decimal | int, denominator: Decimal | int | None) -> float | None:
    if denominator is None:
        return float(numerator)
    return float(numerator) / float(denominator) if denominator else None


def _parts(history: History) -> Iterator[tuple[Key, Parts]]:
    begun = defaultdict(list)
    for session in history.sessions:
        begun[session.started_at.date()].append(session)
    orders = defaultdict(int)
    for money in revenue_daily(history):
        orders[money.revenue_date] += money.order_count
        for metric, parts in {
            "gross_revenue": (money.gross_revenue_amount, None),
            "refunds": (money.refund_amount, None),
            "net_revenue": (money.net_revenue_amount, None),
            "average_order_value": (money.gross_revenue_amount, money.order_count),
        }.items():
            yield (money.revenue_date, metric, money.currency, "", ""), parts
    for active in active_users_daily(history):
        day = active.activity_date
        for metric, parts in {
            "daily_active_users": (active.daily_active_users, None),
            "weekly_active_users": (active.weekly_active_users, None),
            "monthly_active_users": (active.monthly_active_users, None),
            "stickiness": (active.daily_active_users, active.monthly_active_users),
            "new_users": (active.new_users, None),
            "events": (len(history.events_by_day.get(day, [])), None),
            "orders": (orders[day], None),
            **_of_sessions(begun[day], history),
        }.items():
            yield (day, metric, "", "", ""), parts
        for dimension, value_of in _dimensions(history).items():
            slices = defaultdict(list)
            for session in begun[day]:
                slices[value_of(session)].append(session)
            for value, sessions in slices.items():
                for metric, parts in _of_sessions(sessions, history).items():
                    yield (day, metric, "", dimension, value), parts
    yield from _funnel_rates(history)


def _dimensions(history: History) -> Mapping[str, Callable[[Session], str]]:
    return {
        "channel": lambda session: channel(session.origin, history.declared),
        "country": lambda session: session.events[0].country,
        "device_type": lambda session: session.events[0].device_type,
    }


def _of_sessions(sessions: list[Session], history: History) -> dict[str, Parts]:
    declared = history.declared
    seconds = sum((session.seconds for session in sessions), Decimal(0))
    return {
        "sessions": (len(sessions), None),
        "conversions": (sum(session.conversion_count(declared) for session in sessions), None),
        "engagement_rate": (sum(session.is_engaged(declared) for session in sessions), len(sessions)),
        "bounce_rate": (sum(session.is_bounce for session in sessions), len(sessions)),
        "pages_per_session": (sum(session.page_view_count for session in sessions), len(sessions)),
        "average_session_duration": (seconds, len(sessions)),
        "purchase_conversion_rate": (sum(bool(session.sales) for session in sessions), len(sessions)),
    }


def _funnel_rates(history: History) -> Iterator[tuple[Key, Parts]]:
    visitors = {(step.funnel_name, step.entry_date, step.step_number): step.visitor_count for step in funnels(history)}
    last_step = {funnel["name"]: len(funnel["steps"]) for funnel in history.declared.variables["funnels"]}
    for (name, day, number), entered in visitors.items():
        if number == 1:
            yield (day, f"{name}_conversion_rate", "", "", ""), (visitors[name, day, last_step[name]], entered)
