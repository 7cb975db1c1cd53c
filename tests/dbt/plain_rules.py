"""The rules of identity and sessions, told a second time in plain Python, one event after the other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

Links: TypeAlias = Mapping[str, tuple[datetime, str]]
"""Of each id the earliest link: its time and the user."""

CLIENT_SESSION_GAP_SECONDS, SESSION_GAP_SECONDS = 86_400, 1_800


@dataclass(frozen=True, slots=True)
class StagedEvent:
    """A row of stg_events that counts, as far as the rules look at it."""

    user_id: str
    anonymous_id: str
    previous_id: str
    client_session_id: str
    occurred_at: datetime

    def links(self) -> Iterator[tuple[str, bool]]:
        """Ids that the event links with its user, and whether as an alias."""
        if self.user_id:
            yield from (
                (linked_id, is_alias)
                for linked_id, is_alias in ((self.anonymous_id, False), (self.previous_id, True))
                if linked_id not in ("", self.user_id)
            )


class Persons:
    """Who is who, when all events are known."""

    def __init__(self, events: Iterable[StagedEvent]) -> None:
        links = [(event.occurred_at, event.user_id, *link) for event in events for link in event.links()]
        self._owners = first_links((at, user, linked) for at, user, linked, _ in links)
        self._aliases: dict[str, str] = {}
        aliases = first_links((at, user, linked) for at, user, linked, is_alias in links if is_alias)
        for linked_id, (_, user) in sorted(aliases.items(), key=lambda alias: (alias[1][0], alias[0])):
            # One that would close a circle has no effect.
            if self._person(user) != linked_id:
                self._aliases[linked_id] = user

    def visitor(self, event: StagedEvent) -> str:
        """The visitor that the event counts for."""
        if event.user_id:
            return self._person(event.user_id)
        owner = self._owners.get(event.anonymous_id)
        return self._person(owner[1]) if owner else event.anonymous_id

    def _person(self, user: str) -> str:
        while user in self._aliases:
            user = self._aliases[user]
        return user


def first_links(links: Iterable[tuple[datetime, str, str]]) -> Links:
    """The earliest link of each id, of equal times the one with the least user id."""
    firsts: dict[str, tuple[datetime, str]] = {}
    for at, user, linked_id in links:
        firsts[linked_id] = min(firsts.get(linked_id, (at, user)), (at, user))
    return firsts


def sessions_of(events: Iterable[StagedEvent]) -> Iterator[tuple[str, str, datetime, datetime, int]]:
    """Visitor, client session, begin, end and number of events of each session."""
    events = list(events)
    persons, streams = Persons(events), defaultdict(list)
    for event in events:
        streams[persons.visitor(event), event.client_session_id].append(event.occurred_at)
    for (visitor, client_session), moments in streams.items():
        gap_seconds = CLIENT_SESSION_GAP_SECONDS if client_session else SESSION_GAP_SECONDS
        session: list[datetime] = []
        for moment in sorted(moments):
            if session and (moment - session[-1]).total_seconds() > gap_seconds:
                yield visitor, client_session, session[0], session[-1], len(session)
                session = []
            session.append(moment)
        yield visitor, client_session, session[0], session[-1], len(session)
