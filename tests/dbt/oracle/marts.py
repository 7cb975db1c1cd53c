"""What each mart must hold."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tests.dbt.oracle import acquisition, activity, funnels, kpis, orders, pages, retention, revenue, users
from tests.dbt.oracle.history import History


class Mart(NamedTuple):
    """The type of a mart's rows, whose fields are its columns, and how to find them."""

    row: Any
    rows: Callable[[History], Iterable[tuple[Any, ...]]]


MARTS = {
    "sessions": Mart(activity.SessionRow, activity.sessions),
    "sessions_daily": Mart(activity.SessionsDay, activity.sessions_daily),
    "events_daily": Mart(activity.EventsDay, activity.events_daily),
    "active_users_daily": Mart(activity.ActiveUsersDay, activity.active_users_daily),
    "pages_daily": Mart(pages.PageDay, pages.pages_daily),
    "user_days": Mart(users.UserDay, users.user_days),
    "users": Mart(users.User, users.users),
    "acquisition_daily": Mart(acquisition.Acquired, acquisition.acquisition_daily),
    "attribution_daily": Mart(acquisition.Attributed, acquisition.attribution_daily),
    "retention": Mart(retention.Retained, retention.retention),
    "rolling_retention": Mart(retention.Retained, retention.rolling_retention),
    "lifecycle_daily": Mart(retention.LifecycleDay, retention.lifecycle_daily),
    "lifecycle_weekly": Mart(retention.LifecycleWeek, retention.lifecycle_weekly),
    "revenue_daily": Mart(revenue.RevenueDay, revenue.revenue_daily),
    "revenue_by_dimension_daily": Mart(revenue.DimensionDay, revenue.revenue_by_dimension_daily),
    "orders": Mart(orders.OrderRow, orders.order_rows),
    "customer_cohorts": Mart(orders.CohortMonth, orders.customer_cohorts),
    "funnels": Mart(funnels.FunnelStep, funnels.funnels),
    "funnels_by_dimension": Mart(funnels.DimensionStep, funnels.funnels_by_dimension),
    "kpis_daily": Mart(kpis.Kpi, kpis.kpis_daily),
}

UNCOMPARED_COLUMNS = {
    # A hash of columns that are compared.
    "sessions": {"session_id"},
    # Texts of metric_catalog.
    "kpis_daily": {"category", "unit"},
}
"""Columns without a figure of their own, beside refreshed_at."""

UNCOMPARED_MARTS = {
    "performance_daily": "no stream tells how fast a page was",
    "errors_daily": "no stream has errors",
    "api_latency_daily": "no stream has requests",
    "subscriptions": "no stream has subscriptions",
    "mrr_movements": "no stream has subscriptions",
    "mrr_daily": "no stream has subscriptions",
    "data_health_daily": "counts arrivals and rejections, not what visitors did",
    "experiment_metric_aggregates": "no stream has experiments; theirs is the oracle of test_experiments.py",
    "experiment_exposures_daily": "no stream has experiments",
    "experiment_results": "no stream has experiments",
}
"""Marts without an oracle, and why."""
