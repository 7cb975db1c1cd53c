"""What each mart must hold."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tests.dbt.oracle.activity import ActiveUsersDay, EventsDay, SessionRow, active_users_daily, events_daily, sessions
from tests.dbt.oracle.funnels import FunnelStep, funnels
from tests.dbt.oracle.history import History
from tests.dbt.oracle.kpis import Kpi, kpis_daily
from tests.dbt.oracle.revenue import RevenueDay, revenue_daily


class Mart(NamedTuple):
    """The type of a mart's rows, whose fields are its columns, and how to find them."""

    row: Any
    rows: Callable[[History], Iterable[tuple[Any, ...]]]


MARTS = {
    "sessions": Mart(SessionRow, sessions),
    "events_daily": Mart(EventsDay, events_daily),
    "active_users_daily": Mart(ActiveUsersDay, active_users_daily),
    "revenue_daily": Mart(RevenueDay, revenue_daily),
    "funnels": Mart(FunnelStep, funnels),
    "kpis_daily": Mart(Kpi, kpis_daily),
}

UNCOMPARED = {
    # A hash of columns that are compared.
    "sessions": {"session_id"},
    # Texts of metric_catalog.
    "kpis_daily": {"category", "unit"},
}
"""Columns without a figure of their own, beside refreshed_at."""
