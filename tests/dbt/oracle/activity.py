"""Marts of who was there and what they did."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from tests.dbt.oracle.history import History
from tests.dbt.oracle.sessions import channel


class SessionRow(NamedTuple):
    visitor_id: str
    user_id: str
    client_session_id: str
    session_date: date
    started_at: datetime
    ended_at: datetime
    duration_seconds: float
    event_count: int
    page_view_count: int
    conversion_count: int
    is_bounce: bool
    is_engaged: bool
    entry_page: str
    exit_page: str
    order_count: int
    revenue_amount: Decimal
    currency: str
    source: str
    channel: str
    traffic_source: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    referrer_host: str
    country: str
    device_type: str
    os_name: str
    browser_name: str


def sessions(history: History) -> Iterator[SessionRow]:
    for session in history.sessions:
        first, origin, pages = session.events[0], session.origin, session.pages
        currency, revenue = session.revenue
        yield SessionRow(
            visitor_id=session.visitor_id,
            user_id=session.user_id,
            client_session_id=session.client_session_id,
            session_date=first.day,
            started_at=session.started_at,
            ended_at=session.ended_at,
            duration_seconds=session.duration.total_seconds(),
            event_count=len(session.events),
            page_view_count=session.page_view_count,
            conversion_count=session.conversion_count(history.declared),
            is_bounce=session.is_bounce,
            is_engaged=session.is_engaged(history.declared),
            entry_page=pages[0] if pages else "",
            exit_page=pages[-1] if pages else "",
            order_count=len({sale.order_id for sale in session.sales}),
            revenue_amount=revenue,
            currency=currency,
            channel=channel(origin, history.declared),
            traffic_source=origin.source,
            utm_source=origin.utm_source,
            utm_medium=origin.utm_medium,
            utm_campaign=origin.utm_campaign,
            referrer_host=origin.referrer_host,
            source=first.source,
            country=first.country,
            device_type=first.device_type,
            os_name=first.os_name,
            browser_name=first.browser_name,
        )


class SessionsDay(NamedTuple):
    session_date: date
    channel: str
    country: str
    device_type: str
    session_count: int
    bounce_count: int
    engaged_session_count: int
    session_with_order_count: int
    page_view_count: int
    conversion_count: int
    duration_seconds: Decimal


def sessions_daily(history: History) -> Iterator[SessionsDay]:
    slices = defaultdict(list)
    for session in history.sessions:
        first, name = session.events[0], channel(session.origin, history.declared)
        slices[first.day, name, first.country, first.device_type].append(session)
    for key, begun in slices.items():
        yield SessionsDay(
            *key,
            session_count=len(begun),
            bounce_count=sum(session.is_bounce for session in begun),
            engaged_session_count=sum(session.is_engaged(history.declared) for session in begun),
            conversion_count=sum(session.conversion_count(history.declared) for session in begun),
            session_with_order_count=sum(bool(session.sales) for session in begun),
            page_view_count=sum(session.page_view_count for session in begun),
            duration_seconds=sum((session.seconds for session in begun), Decimal(0)),
        )


class EventsDay(NamedTuple):
    event_date: date
    event_name: str
    event_type: str
    event_count: int
    visitor_count: int


def events_daily(history: History) -> Iterator[EventsDay]:
    events = Counter((event.day, event.event_name, event.event_type) for event in history.events)
    pairs = {(event.day, event.event_name, event.event_type, event.visitor_id) for event in history.events}
    visitors = Counter(pair[:3] for pair in pairs)
    for key, count in events.items():
        yield EventsDay(*key, count, visitors[key])


class ActiveUsersDay(NamedTuple):
    activity_date: date
    daily_active_users: int
    weekly_active_users: int
    monthly_active_users: int
    new_users: int
    stickiness_rate: float | None


def active_users_daily(history: History) -> Iterator[ActiveUsersDay]:
    first_days = Counter(min(days) for days in history.visitor_days.values())
    visitors = {day: {event.visitor_id for event in events} for day, events in history.events_by_day.items()}

    def active(day: date, length: int) -> int:
        return len(set().union(*(visitors.get(day - timedelta(days=back), set()) for back in range(length))))

    for day in history.calendar:
        daily, monthly = active(day, 1), active(day, 30)
        stickiness = daily / monthly if monthly else None
        yield ActiveUsersDay(day, daily, active(day, 7), monthly, first_days[day], stickiness)
