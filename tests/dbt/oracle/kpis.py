"""The mart of all metrics by day."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from tests.dbt.oracle.activity import active_users_daily, events_daily
from tests.dbt.oracle.funnels import funnels
from tests.dbt.oracle.history import History
from tests.dbt.oracle.revenue import revenue_daily


class Kpi(NamedTuple):
    kpi_date: date
    metric: str
    currency: str
    value: float | None
    numerator: Decimal | int
    denominator: Decimal | int | None


def kpis_daily(history: History) -> Iterator[Kpi]:
    revenue, events, sessions = defaultdict(list), defaultdict(int), defaultdict(list)
    for of_day in revenue_daily(history):
        revenue[of_day.revenue_date].append(of_day)
    for event in events_daily(history):
        events[event.event_date] += event.event_count
    for session in history.sessions:
        sessions[session.events[0].day].append(session)
    for active in active_users_daily(history):
        day = active.activity_date
        begun = sessions[day]
        for money in revenue[day]:
            amounts = (money.gross_revenue_amount, money.refund_amount, money.net_revenue_amount)
            for metric, amount in zip(("gross_revenue", "refunds", "net_revenue"), amounts, strict=True):
                yield total(day, metric, amount, money.currency)
            yield ratio(
                day, "average_order_value", money.gross_revenue_amount, money.order_count, currency=money.currency
            )
        yield total(day, "orders", sum(money.order_count for money in revenue[day]))
        yield total(day, "daily_active_users", active.daily_active_users)
        yield total(day, "new_users", active.new_users)
        yield total(day, "sessions", len(begun))
        yield total(day, "events", events[day])
        yield ratio(day, "bounce_rate", sum(len(session.events) == 1 for session in begun), len(begun))
        seconds = sum((Decimal(str(session.duration.total_seconds())) for session in begun), Decimal(0))
        yield ratio(day, "average_session_duration", seconds, len(begun))
        yield ratio(day, "purchase_conversion_rate", sum(bool(session.sales) for session in begun), len(begun))
    yield from _funnel_rates(history)


def _funnel_rates(history: History) -> Iterator[Kpi]:
    visitors = {(step.funnel_name, step.entry_date, step.step_number): step.visitor_count for step in funnels(history)}
    last_step = {funnel["name"]: len(funnel["steps"]) for funnel in history.declared.variables["funnels"]}
    for (name, day, number), entered in visitors.items():
        if number == 1:
            yield ratio(day, f"{name}_conversion_rate", visitors[name, day, last_step[name]], entered)


def total(day: date, metric: str, amount: Decimal | int, currency: str = "") -> Kpi:
    return Kpi(day, metric, currency, float(amount), amount, None)


def ratio(day: date, metric: str, numerator: Decimal | int, denominator: int, currency: str = "") -> Kpi:
    value = float(numerator) / denominator if denominator else None
    return Kpi(day, metric, currency, value, numerator, denominator)
