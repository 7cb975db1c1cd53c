"""Runs of events without a long silence, and how they were won."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from tests.dbt.oracle.declared import Declared
from tests.dbt.oracle.staging import Event, site


class Origin(NamedTuple):
    """What tells how a visitor came."""

    utm_source: str
    utm_medium: str
    utm_campaign: str
    click_id: str
    referrer_host: str

    @property
    def source(self) -> str:
        """Of the campaign or, without one, the host that led here."""
        return self.utm_source or self.referrer_host


@dataclass(frozen=True, slots=True)
class Session:
    """Events of one visitor and client session id, in their order."""

    visitor_id: str
    client_session_id: str
    events: list[Event]

    @property
    def started_at(self) -> datetime:
        return self.events[0].occurred_at

    @property
    def ended_at(self) -> datetime:
        return self.events[-1].occurred_at

    @property
    def duration(self) -> timedelta:
        return self.ended_at - self.started_at

    @property
    def seconds(self) -> Decimal:
        return Decimal(str(self.duration.total_seconds()))

    @property
    def is_bounce(self) -> bool:
        return len(self.events) == 1

    @property
    def user_id(self) -> str:
        return self.visitor_id if any(event.is_known for event in self.events) else ""

    @property
    def pages(self) -> list[str]:
        return [event.page for event in self.events if event.page]

    @property
    def page_view_count(self) -> int:
        return sum(event.event_type == "page_view" for event in self.events)

    def conversion_count(self, declared: Declared) -> int:
        return sum(event.event_name in declared.variables["conversion_events"] for event in self.events)

    def is_engaged(self, declared: Declared) -> bool:
        is_long = self.duration >= timedelta(seconds=10)
        return is_long or self.page_view_count >= 2 or self.conversion_count(declared) >= 1

    @property
    def sales(self) -> list[Event]:
        return [event for event in self.events if event.revenue_kind == "sale"]

    @property
    def revenue(self) -> tuple[str, Decimal]:
        """Currency and amount of the sales; they do not add up in several currencies."""
        currencies = {sale.currency for sale in self.sales}
        if len(currencies) > 1:
            return "mixed", Decimal(0)
        return "".join(currencies), sum((sale.amount for sale in self.sales), Decimal(0))

    @property
    def origin(self) -> Origin:
        """Of the first event that names one, or a page."""
        for event in self.events:
            origin = Origin(*(getattr(event, name) for name in Origin._fields))
            if any(origin) or event.page:
                return origin
        return Origin("", "", "", "", "")


def sessions_of(events: Iterable[Event], declared: Declared) -> list[Session]:
    """All sessions. A silence of exactly the gap does not end one."""
    streams, sessions = defaultdict(list), []
    for event in events:
        streams[event.visitor_id, event.client_session_id].append(event)
    for stream, told in streams.items():
        session: list[Event] = []
        for event in sorted(told, key=lambda event: event.order):
            if session and event.occurred_at - session[-1].occurred_at > event.session_gap(declared):
                sessions.append(Session(*stream, session))
                session = []
            session.append(event)
        sessions.append(Session(*stream, session))
    return sessions


@cache
def channel(origin: Origin, declared: Declared) -> str:
    """The first rule that fits in all of its columns names it."""
    name = origin.source.lower()
    types = {row["source"]: row["source_type"] for row in declared.traffic_sources}
    lookups = (name, site(name), site(name).split(".")[0])
    facts = {
        "medium": origin.utm_medium.lower(),
        "source": origin.utm_source.lower(),
        "source_type": next((types[text] for text in lookups if text in types), ""),
        "click_id": origin.click_id.lower(),
        "referrer_host": origin.referrer_host,
    }
    for rule in sorted(declared.channel_rules, key=lambda rule: int(rule["priority"])):
        if all(re.fullmatch(rule[column], fact, re.DOTALL) for column, fact in facts.items()):
            return rule["channel"]
    return "Other"
