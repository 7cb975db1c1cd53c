"""The performance report: how the product is used, and how well that turns into orders."""

import asyncio
from datetime import date
from itertools import groupby
from typing import Any

from pydantic import Field

from ingest_api.camel_model import CamelModel
from ingest_api.dashboards.comparison import NumberComparison, ratio
from ingest_api.dashboards.marts import Marts, Report


class PerformanceTotals(CamelModel):
    """Over the whole period."""

    sessions: NumberComparison
    visitors: NumberComparison = Field(description="Distinct over the whole period")
    bounce_rate: NumberComparison = Field(description="Sessions of one event / sessions")
    average_session_seconds: NumberComparison
    median_session_seconds: NumberComparison
    pages_per_session: NumberComparison
    conversion_rate: NumberComparison = Field(description="Sessions with an order / sessions")
    page_views: NumberComparison = Field(description="By the day of the event")
    events: NumberComparison = Field(description="By the day of the event")


class PerformanceDay(CamelModel):
    """One day; sessions belong to the day of their first event."""

    date: date
    sessions: int
    visitors: int


class TopEvent(CamelModel):
    """One of the most frequent events."""

    event_name: str
    events: NumberComparison


class EntryPage(CamelModel):
    """One of the pages on which most sessions began."""

    page: str
    sessions: NumberComparison
    bounce_rate: float | None


class FunnelStep(CamelModel):
    """One step of a funnel."""

    step_number: int
    step_name: str
    visitors: NumberComparison = Field(description="Who came this far; who entered on two days counts twice")
    conversion_rate: NumberComparison = Field(description="Of those who entered the funnel")
    step_conversion_rate: NumberComparison = Field(description="Of those who came to the step before; 1 for the first")


class Funnel(CamelModel):
    """One declared funnel, by the day a visitor entered it."""

    name: str
    steps: list[FunnelStep]


class PerformanceReport(Report):
    """Use of the product in a period."""

    totals: PerformanceTotals
    daily: list[PerformanceDay]
    top_events: list[TopEvent]
    top_entry_pages: list[EntryPage]
    funnels: list[Funnel]


_QUERIES = ("sessions", "sessions_daily", "events", "top_events", "entry_pages", "funnels")


async def performance_report(marts: Marts) -> PerformanceReport:
    """Read and put together; errors as `Marts.rows`."""
    heading = await marts.heading("sessions", "events_daily", "funnels")
    sessions, daily, events, top_events, entry_pages, funnel_steps = await asyncio.gather(
        *(marts.rows(f"{name}.sql") for name in _QUERIES)
    )
    by_day = {row["session_date"]: row for row in daily}
    return PerformanceReport(
        **heading,
        totals=performance_totals(sessions, events),
        daily=[
            PerformanceDay(
                date=day,
                sessions=by_day.get(day, {}).get("session_count", 0),
                visitors=by_day.get(day, {}).get("visitor_count", 0),
            )
            for day in marts.period.days_until(heading["as_of"])
        ],
        top_events=[
            TopEvent(
                event_name=row["event_name"],
                events=NumberComparison.of(row["event_count"], row["previous_event_count"]),
            )
            for row in top_events
        ],
        top_entry_pages=[
            EntryPage(
                page=row["entry_page"],
                sessions=NumberComparison.of(row["session_count"], row["previous_session_count"]),
                bounce_rate=ratio(row["bounce_count"], row["session_count"]),
            )
            for row in entry_pages
        ],
        funnels=[
            funnel(name, list(steps)) for name, steps in groupby(funnel_steps, key=lambda step: step["funnel_name"])
        ],
    )


def performance_totals(sessions: list[dict[str, Any]], events: list[dict[str, Any]]) -> PerformanceTotals:
    """Compare the rows of `sql/sessions.sql` and `sql/events.sql`: at most one of each period."""
    now, before = _of_period(sessions, current=True), _of_period(sessions, current=False)
    events_now, events_before = _of_period(events, current=True), _of_period(events, current=False)

    def count(name: str) -> NumberComparison:
        return NumberComparison.of(now.get(name, 0), before.get(name, 0))

    def event_count(name: str) -> NumberComparison:
        return NumberComparison.of(events_now.get(name, 0), events_before.get(name, 0))

    def per_session(name: str) -> NumberComparison:
        return NumberComparison.of(_per_session(now, name), _per_session(before, name))

    def seconds(name: str) -> NumberComparison:
        return NumberComparison.of(_seconds(now.get(name)), _seconds(before.get(name)))

    return PerformanceTotals(
        sessions=count("session_count"),
        visitors=count("visitor_count"),
        bounce_rate=per_session("bounce_count"),
        average_session_seconds=seconds("average_duration_seconds"),
        median_session_seconds=seconds("median_duration_seconds"),
        pages_per_session=per_session("page_view_count"),
        conversion_rate=per_session("session_with_order_count"),
        page_views=event_count("page_view_count"),
        events=event_count("event_count"),
    )


def funnel(name: str, steps: list[dict[str, Any]]) -> Funnel:
    """Put together one funnel from its rows of `sql/funnels.sql`, the first step first."""
    first = steps[0]
    return Funnel(
        name=name,
        steps=[
            FunnelStep(
                step_number=step["step_number"],
                step_name=step["step_name"],
                visitors=NumberComparison.of(step["visitor_count"], step["previous_visitor_count"]),
                conversion_rate=_conversion(step, first),
                step_conversion_rate=_conversion(step, earlier),
            )
            for earlier, step in zip([first, *steps[:-1]], steps, strict=True)
        ],
    )


def _conversion(step: dict[str, Any], of: dict[str, Any]) -> NumberComparison:
    return NumberComparison.of(
        ratio(step["visitor_count"], of["visitor_count"]),
        ratio(step["previous_visitor_count"], of["previous_visitor_count"]),
    )


def _of_period(rows: list[dict[str, Any]], *, current: bool) -> dict[str, Any]:
    return next((row for row in rows if bool(row["is_current"]) is current), {})


def _per_session(row: dict[str, Any], name: str) -> float | None:
    return ratio(row[name], row["session_count"]) if row else None


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
