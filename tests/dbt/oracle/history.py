"""All that happened, in order, once everything has arrived."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TypeAlias

from tests.dbt.oracle.declared import Declared
from tests.dbt.oracle.identity import Persons
from tests.dbt.oracle.sessions import Session, sessions_of
from tests.dbt.oracle.staging import Event, RawEvent, counted_events

SessionKey: TypeAlias = tuple[str, str, datetime]
"""Visitor, client session id and beginning."""


class History:
    """The events that count, of the visitors whose they are, and what follows from them at once."""

    def __init__(self, raw: Iterable[RawEvent], declared: Declared, session_ids: Mapping[SessionKey, str]) -> None:
        """The ids of sessions are hashes, which the engine says; the least of two that begin together is the first."""
        self.declared = declared
        self._session_ids = session_ids
        events = counted_events(raw, declared)
        persons = Persons(events, declared)
        self.events = sorted(
            (replace(event, visitor_id=persons.visitor(event)) for event in events), key=lambda event: event.order
        )

    @cached_property
    def sessions(self) -> list[Session]:
        return sessions_of(self.events, self.declared)

    @cached_property
    def sessions_of_visitor(self) -> dict[str, list[Session]]:
        """In the order of their beginning."""
        visitors = defaultdict(list)
        for session in sorted(self.sessions, key=self._session_order):
            visitors[session.visitor_id].append(session)
        return dict(visitors)

    def _session_order(self, session: Session) -> tuple[datetime, str]:
        return session.started_at, self.session_id(session)

    def session_id(self, session: Session) -> str:
        return self._session_ids.get((session.visitor_id, session.client_session_id, session.started_at), "")

    @cached_property
    def events_by_day(self) -> dict[date, list[Event]]:
        days = defaultdict(list)
        for event in self.events:
            days[event.day].append(event)
        return dict(days)

    @cached_property
    def events_by_visitor(self) -> dict[str, list[Event]]:
        visitors = defaultdict(list)
        for event in self.events:
            visitors[event.visitor_id].append(event)
        return dict(visitors)

    @cached_property
    def visitor_days(self) -> dict[str, set[date]]:
        """The days on which each visitor did something."""
        return {visitor: {event.day for event in events} for visitor, events in self.events_by_visitor.items()}

    @cached_property
    def calendar(self) -> list[date]:
        """Every day from the first to the last with an event."""
        return days_between(min(self.events_by_day), max(self.events_by_day))


def days_between(first: date, last: date) -> list[date]:
    """Both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
