"""Who is who, when all events are known."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TypeAlias

from tests.dbt.oracle.declared import Declared
from tests.dbt.oracle.staging import Event

Links: TypeAlias = Mapping[str, tuple[datetime, str]]
"""Of each id the earliest link: its time and the user."""


class Persons:
    """The visitor behind each event: aliases are followed, and a device belongs to the first user it was seen with."""

    def __init__(self, events: Iterable[Event], declared: Declared) -> None:
        self._shared_ids = set(declared.variables["shared_ids"])
        links = [(event.occurred_at, event.user_id, *link) for event in events for link in self._links(event)]
        self._owners = first_links((at, user, linked) for at, user, linked, _ in links)
        self._aliases: dict[str, str] = {}
        aliases = first_links((at, user, linked) for at, user, linked, is_alias in links if is_alias)
        for linked_id, (_, user) in sorted(aliases.items(), key=lambda alias: (alias[1][0], alias[0])):
            # One that would close a circle has no effect.
            if self._person(user) != linked_id:
                self._aliases[linked_id] = user

    def visitor(self, event: Event) -> str:
        """The visitor that the event counts for."""
        if event.user_id:
            return self._person(event.user_id)
        owner = self._owners.get(event.anonymous_id)
        return self._person(owner[1]) if owner else event.anonymous_id

    def _links(self, event: Event) -> Iterator[tuple[str, bool]]:
        """Ids that the event links with its user, and whether as an alias."""
        for linked_id, is_alias in ((event.anonymous_id, False), (event.previous_id, True)):
            if linked_id != event.user_id and self._is_personal(linked_id) and self._is_personal(event.user_id):
                yield linked_id, is_alias

    def _is_personal(self, identifier: str) -> bool:
        return identifier != "" and identifier.lower() not in self._shared_ids

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
