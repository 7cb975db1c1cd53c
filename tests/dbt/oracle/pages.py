"""The mart of pages by day."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from tests.dbt.oracle.history import History


class PageDay(NamedTuple):
    event_date: date
    page: str
    view_count: int
    visitor_count: int
    entry_count: int
    exit_count: int
    bounce_count: int
    seconds_on_page: float


def pages_daily(history: History) -> Iterator[PageDay]:
    views, entries, exits, bounces = defaultdict(list), defaultdict(int), defaultdict(int), defaultdict(int)
    stays = _stays(history)
    for event in history.events:
        if event.event_type == "page_view" and event.page:
            views[event.day, event.page].append(event.visitor_id)
    for session in history.sessions:
        if session.pages:
            day = session.started_at.date()
            entries[day, session.pages[0]] += 1
            exits[day, session.pages[-1]] += 1
            bounces[day, session.pages[0]] += session.is_bounce
    for key in views.keys() | entries.keys() | exits.keys() | stays.keys():
        visitors = views[key]
        seconds = stays.get(key, timedelta()) / timedelta(seconds=1)
        yield PageDay(*key, len(visitors), len(set(visitors)), entries[key], exits[key], bounces[key], seconds)


def _stays(history: History) -> dict[tuple[date, str], timedelta]:
    """What names no page happened on the page that was seen last; a long silence is no stay, nor is the night."""
    streams, stays = defaultdict(list), defaultdict(timedelta)
    for event in history.events:
        streams[event.day, event.visitor_id, event.client_session_id].append(event)
    for (day, _, _), events in streams.items():
        page = ""
        for event, following in pairwise([*events, events[-1]]):
            page = event.page or page
            if page:
                silence = following.occurred_at - event.occurred_at
                stays[day, page] += silence if silence <= event.session_gap(history.declared) else timedelta()
    return dict(stays)
