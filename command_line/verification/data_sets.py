"""The data sets: their files, their funnels, and which of the reference figures the marts can answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command_line.verification.asos import asos_figures
from command_line.verification.experiments import (
    COOKIE_CATS,
    SOCIAL_PRESSURE,
    cookie_cats_figures,
    social_pressure_figures,
)
from command_line.verification.figures import Figure, Number, Series
from command_line.verification.marts import Marts
from command_line.verification.retail import retail_figures
from command_line.verification.retention import retention_figures

Results = Mapping[str, Any]
Comparison = Figure | Series

WINDOWS = {"10m": "10 minutes", "30m": "30 minutes", "1h": "1 hour", "1d": "1 day", "7d": "7 days", "30d": "30 days"}
"""How the references write a funnel's window, and how dbt does."""

_RATING = "JSONExtractUInt(properties, 'rating')"
_RATINGS = "SELECT {}, {} FROM {{staging:Identifier}}.stg_events FINAL GROUP BY 1"
_BY_HOUR = """
SELECT formatDateTime(toStartOfHour(occurred_at), '%Y-%m-%dT%H:00:00'), {}
FROM {{staging:Identifier}}.stg_events FINAL GROUP BY 1
"""
_TOP_VALUES = """
SELECT value, figure
FROM (
    SELECT JSONExtractString(properties, '{1}') AS value, {0} AS figure, count() AS events
    FROM {{staging:Identifier}}.stg_events FINAL WHERE event_name = '{2}' GROUP BY value
    ORDER BY events DESC, value LIMIT {3}
)
"""
_BY_USER_AND_NAME = """
SELECT concat(visitor_id, ' ', event_name), count() FROM {intermediate:Identifier}.int_events FINAL GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class DataSet:
    """One file of real events with reference answers. `funnels` holds the steps by the answer's name."""

    name: str
    file: str
    answers: str
    figures: Callable[[Marts, Results], Iterator[Comparison]]
    funnels: Mapping[str, list[str]] = field(default_factory=dict)
    mappings: tuple[str, ...] = ()
    """How a row becomes events, in the order in which these are sent; by default one, called like the data set."""
    experiment: Mapping[str, Any] | None = None
    """Body that starts the experiment before the events are sent. Its results are computed where others only build."""

    @property
    def mapping_names(self) -> tuple[str, ...]:
        """Names of the mappings without `.yml`."""
        return self.mappings or (self.name,)

    def dbt_funnels(self, results: Results) -> list[dict[str, Any]]:
        """Return the variable `funnels` for dbt: one funnel for each window in the answers."""
        return [
            {"name": f"{name}_{window}", "window": WINDOWS[window], "steps": steps}
            for name, steps in self.funnels.items()
            for window in results[name]
        ]

    def compare(self, marts: Marts, results: Results) -> Iterator[Comparison]:
        """Yield every figure of the answers that the marts can answer."""
        yield from self.figures(marts, results)
        for name, steps in self.funnels.items():
            for window, modes in results[name].items():
                found = marts.visitors_by_step(f"{name}_{window}", steps)
                yield Series(f"{name}, {WINDOWS[window]}", modes["default"]["reached"], found)


@dataclass(frozen=True, slots=True)
class MomentsSet:
    """One file of moments with reference answers: no events, so it goes straight into the statistics."""

    name: str
    file: str
    answers: str
    figures: Callable[[Path, Results], Iterator[Comparison]]


def activity_figures(marts: Marts, results: Results) -> Iterator[Comparison]:
    """Compare events, active users, new users and sessions, in all and by day."""
    totals, days = results["totals"], {day["date"]: day for day in results["daily"]}
    events_of = "SELECT {}, sum(event_count) FROM {{marts:Identifier}}.events_daily GROUP BY 1"
    yield Figure("events", totals["events"], marts.one("SELECT sum(event_count) FROM {marts:Identifier}.events_daily"))
    yield Figure("users", totals["users"], marts.one("SELECT uniqExact(visitor_id) FROM {marts:Identifier}.sessions"))
    yield Series("events by name", totals["events_by_name"], marts.series(events_of.format("event_name")))
    yield Series("events per day", _column(days, "events"), marts.series(events_of.format("event_date")))
    active = marts.daily_activity("daily_active_users")
    yield Series("active users per day", _column(days, "active_users"), active)
    yield Series("new users per day", _column(days, "new_users"), marts.daily_activity("new_users"))
    sessions = marts.series("SELECT session_date, count() FROM {marts:Identifier}.sessions GROUP BY 1")
    yield Series("sessions per day", _column(days, "sessions"), sessions)
    if "rolling_7d_active_users" in results:
        weekly = marts.daily_activity("weekly_active_users")
        yield Series("active users, rolling 7 days", results["rolling_7d_active_users"], weekly)
    yield from retention_figures(marts, results)
    found = marts.session_figures()
    for name, expected in results["sessions"].items():
        if name in found:
            yield Figure(f"sessions: {name}", expected, found[name])


def shop_figures(marts: Marts, results: Results) -> Iterator[Comparison]:
    """Compare activity, and the revenue of a shop without refunds."""
    yield from activity_figures(marts, results)
    revenue = results["revenue"]
    gross, orders = marts.revenue("gross_revenue_amount"), marts.revenue("order_count")
    buyers = marts.one("SELECT uniqExact(visitor_id) FROM {marts:Identifier}.sessions WHERE order_count > 0")
    users = marts.one("SELECT uniqExact(visitor_id) FROM {marts:Identifier}.sessions")
    yield Figure("revenue", revenue["revenue"], gross)
    yield Figure("orders", revenue["orders"], orders)
    yield Figure("buyers", revenue["buyers"], buyers)
    yield Figure("average order value", revenue["aov"], float(gross / orders))
    yield Figure("revenue per user", revenue["arpu"], float(gross) / float(users))
    yield Figure("revenue per buyer", revenue["arppu"], float(gross) / float(buyers))


def rees46_figures(marts: Marts, results: Results) -> Iterator[Comparison]:
    """Compare what all shops have, the hours of the day, and the products that were viewed most."""
    yield from shop_figures(marts, results)
    hours = {entry["hour"]: entry for entry in results["hourly"]}
    for name, figure in (("events", "count()"), ("active_users", "uniqExact(visitor_id)")):
        yield Series(f"{name.replace('_', ' ')} per hour", _column(hours, name), marts.series(_BY_HOUR.format(figure)))
    expected = {entry["product_id"]: entry for entry in results["top_viewed_products"]}
    for name, figure in (("views", "count()"), ("viewers", "uniqExact(visitor_id)")):
        top = _TOP_VALUES.format(figure, "product_id", "view", len(expected))
        yield Series(f"products viewed most: {name}", _column(expected, name), marts.series(top))


def otto_figures(marts: Marts, results: Results) -> Iterator[Comparison]:
    """Compare activity, in all and of each user."""
    yield from activity_figures(marts, results)
    users = {
        f"{entry['user']} {name}": entry[name]
        for entry in results["per_user"]
        for name in ("clicks", "carts", "orders")
    }
    yield Series("events by user and name", users, marts.series(_BY_USER_AND_NAME))


def review_figures(marts: Marts, results: Results) -> Iterator[Comparison]:
    """Compare activity, the ratings, and the vendors that were rated most."""
    yield from activity_figures(marts, results)
    rating = results["rating"]
    mean, month = f"avg({_RATING})", "formatDateTime(event_date, '%Y-%m')"
    yield Series("mean rating", {"": rating["mean"]}, marts.series(_RATINGS.format("''", mean)))
    yield Series("ratings", rating["counts"], marts.series(_RATINGS.format(_RATING, "count()")))
    yield Series("mean rating by month", rating["monthly_mean"], marts.series(_RATINGS.format(month, mean)))
    vendors = {entry["vendorId"]: entry for entry in results["top_vendors"]}
    for name, figure in (
        ("reviews", "count()"),
        ("reviewers", "uniqExact(visitor_id)"),
        ("mean_rating", mean),
    ):
        top = _TOP_VALUES.format(figure, "vendorId", "review_submitted", len(vendors))
        yield Series(f"vendors rated most: {name}", _column(vendors, name), marts.series(top))


def _column(entries: Mapping[str, Mapping[str, Number]], name: str) -> dict[str, Number]:
    return {label: entry[name] for label, entry in entries.items()}


DATA_SETS: dict[str, DataSet | MomentsSet] = {
    data_set.name: data_set
    for data_set in (
        DataSet(
            name="rees46",
            file="rees46_events_even_users.csv.gz",
            answers="rees46_even.json",
            figures=rees46_figures,
            funnels={
                "funnel_view_cart_purchase": ["view", "cart", "purchase"],
                "funnel_view_purchase": ["view", "purchase"],
            },
        ),
        DataSet(
            name="otto",
            file="otto_events.csv.gz",
            answers="otto.json",
            figures=otto_figures,
            funnels={"funnel_clicks_carts_orders": ["clicks", "carts", "orders"]},
        ),
        DataSet("online_retail", "online_retail.csv.gz", "online_retail.json", retail_figures),
        DataSet("reviews", "reviews.csv.gz", "reviews.json", review_figures),
        DataSet(
            name="ab_cookie_cats",
            file="ab_cookie_cats.csv.gz",
            answers="ab_cookie_cats.json",
            figures=cookie_cats_figures,
            mappings=tuple(f"ab_cookie_cats_{events}" for events in ("exposures", "rounds", "day_1", "day_7")),
            experiment=COOKIE_CATS,
        ),
        DataSet(
            name="ab_social_pressure",
            file="ab_social_pressure.csv.gz",
            answers="ab_social_pressure.json",
            figures=social_pressure_figures,
            mappings=tuple(f"ab_social_pressure_{events}" for events in ("before", "exposures", "votes")),
            experiment=SOCIAL_PRESSURE,
        ),
        MomentsSet("ab_asos", "ab_asos.csv.gz", "ab_asos.json", asos_figures),
    )
}
