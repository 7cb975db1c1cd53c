"""Marts of what is known about each visitor, by day and in all."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tests.dbt.oracle.history import History
from tests.dbt.oracle.sessions import channel
from tests.dbt.oracle.staging import Event


class UserDay(NamedTuple):
    activity_date: date
    visitor_id: str
    user_id: str
    is_first_day: bool
    first_event_at: datetime
    last_event_at: datetime
    event_count: int
    page_view_count: int
    session_count: int
    engaged_session_count: int
    duration_seconds: float
    conversion_count: int
    order_count: int
    revenue_amount: Decimal
    currency: str
    channel: str
    country: str
    device_type: str


class User(NamedTuple):
    visitor_id: str
    user_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    first_seen_date: date
    last_seen_date: date
    first_channel: str
    first_traffic_source: str
    first_utm_medium: str
    first_utm_campaign: str
    first_page: str
    active_day_count: int
    event_count: int
    page_view_count: int
    conversion_count: int
    order_count: int
    revenue_amount: Decimal
    currency: str
    country: str
    device_type: str
    email: str
    name: str
    properties: str


def user_days(history: History) -> Iterator[UserDay]:
    for visitor, events in history.events_by_visitor.items():
        for day in history.visitor_days[visitor]:
            of_day = [event for event in events if event.day == day]
            begun = [one for one in history.sessions_of_visitor[visitor] if one.started_at.date() == day]
            facts = _facts(of_day, history)
            yield UserDay(
                activity_date=day,
                is_first_day=day == min(history.visitor_days[visitor]),
                first_event_at=of_day[0].occurred_at,
                last_event_at=of_day[-1].occurred_at,
                session_count=len(begun),
                engaged_session_count=sum(session.is_engaged(history.declared) for session in begun),
                duration_seconds=float(sum((session.seconds for session in begun), Decimal(0))),
                channel=channel(begun[0].origin, history.declared) if begun else "",
                **facts,
            )


def users(history: History) -> Iterator[User]:
    for visitor, events in history.events_by_visitor.items():
        first = history.sessions_of_visitor[visitor][0]
        origin, traits = first.origin, _traits(events, history)
        yield User(
            first_seen_at=events[0].occurred_at,
            last_seen_at=events[-1].occurred_at,
            first_seen_date=events[0].day,
            last_seen_date=events[-1].day,
            first_channel=channel(origin, history.declared),
            first_traffic_source=origin.source,
            first_utm_medium=origin.utm_medium,
            first_utm_campaign=origin.utm_campaign,
            first_page=first.pages[0] if first.pages else "",
            active_day_count=len(history.visitor_days[visitor]),
            email=traits.get("email", ""),
            name=traits.get("name", ""),
            properties=json.dumps(traits, separators=(",", ":"), sort_keys=True),
            **_facts(events, history),
        )


def _facts(events: Sequence[Event], history: History) -> dict[str, Any]:
    """What a day and a life have in common; the events are one visitor's, in their order."""
    visitor = events[0].visitor_id
    sales = [event for event in events if event.revenue_kind == "sale"]
    currencies = {sale.currency for sale in sales}
    is_mixed = len(currencies) > 1
    return {
        "visitor_id": visitor,
        "user_id": visitor if any(event.is_known for event in events) else "",
        "event_count": len(events),
        "page_view_count": sum(event.event_type == "page_view" for event in events),
        "conversion_count": sum(
            event.event_name in history.declared.variables["conversion_events"] for event in events
        ),
        "order_count": len({sale.order_id for sale in sales}),
        "revenue_amount": Decimal(0) if is_mixed else sum((sale.amount for sale in sales), Decimal(0)),
        "currency": "mixed" if is_mixed else "".join(currencies),
        "country": _last(event.country for event in events),
        "device_type": _last(event.device_type for event in events),
    }


def _last(texts: Iterable[str]) -> str:
    return next((text for text in reversed(list(texts)) if text), "")


def _traits(events: Iterable[Event], history: History) -> dict[str, Any]:
    """The latest value of each; null takes it back."""
    traits: dict[str, Any] = {}
    for event in events:
        if event.event_name in history.declared.variables["trait_events"]:
            traits |= event.properties.get("$set") or event.properties.get("traits") or event.properties
    return {name: value for name, value in traits.items() if name and not name.startswith("$") and value is not None}
