"""Tiny marts with known numbers, in tables made from the contracts of the dbt project."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest_api.auth.roles import Role
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import api_settings, bearer, serving, token_for
from warehouse.client import Client, connect
from warehouse.config import WarehouseSettings

ROWS = {
    # The period is 1 to 3 March; 26 to 28 February come before it; 25 February and 4 March belong to neither.
    "revenue_daily": """(revenue_date, currency, order_count, gross_revenue_amount, refund_amount, net_revenue_amount,
            refund_count, buyer_count) VALUES
        ('2026-02-25', 'USD', 9, '999', '0', '999', 0, 9),
        ('2026-02-27', 'USD', 2, '40.10', '0', '40.10', 0, 2),
        ('2026-03-01', 'USD', 2, '30.10', '0.1', '30', 1, 2),
        ('2026-03-03', 'USD', 1, '0.2', '5', '-4.8', 1, 1),
        ('2026-03-02', 'EUR', 1, '12345678901234567890.1234', '0', '12345678901234567890.1234', 0, 1),
        ('2026-03-04', 'USD', 9, '999', '0', '999', 0, 9)""",
    "sessions": """(session_id, visitor_id, session_date, duration_seconds, event_count, page_view_count, is_bounce,
            entry_page, order_count) VALUES
        ('p1', 'ann', '2026-02-28', 10, 2, 2, false, '/', 0),
        ('p2', 'bob', '2026-02-28', 0, 1, 1, true, '/old', 0),
        ('s1', 'ann', '2026-03-01', 10, 5, 3, false, '/', 1),
        ('s2', 'ann', '2026-03-02', 0, 1, 1, true, '/', 0),
        ('s3', 'bob', '2026-03-02', 50, 3, 2, false, '/sale', 0),
        ('s4', 'eve', '2026-03-03', 0, 1, 0, true, '', 0),
        ('x1', 'zoe', '2026-03-04', 99, 9, 9, false, '/', 9)""",
    "events_daily": """(event_date, event_name, event_type, event_count, visitor_count) VALUES
        ('2026-02-28', 'page_view', 'page_view', 3, 2),
        ('2026-03-01', 'page_view', 'page_view', 4, 1),
        ('2026-03-02', 'page_view', 'page_view', 2, 2),
        ('2026-03-02', 'click', 'user_action', 3, 1),
        ('2026-03-03', 'purchase', 'transaction', 1, 1),
        ('2026-03-04', 'page_view', 'page_view', 99, 9)""",
    "funnels": """(funnel_name, entry_date, step_number, step_name, visitor_count) VALUES
        ('checkout', '2026-02-27', 1, 'page_view', 10), ('checkout', '2026-02-27', 2, 'purchase', 5),
        ('checkout', '2026-03-01', 1, 'page_view', 8), ('checkout', '2026-03-01', 2, 'purchase', 1),
        ('checkout', '2026-03-02', 1, 'page_view', 2), ('checkout', '2026-03-02', 2, 'purchase', 0)""",
    "kpis_daily": """(kpi_date, metric, currency, category, unit, value, numerator, denominator, dimension) VALUES
        ('2026-02-27', 'bounce_rate', '', 'engagement', 'rate', 0.5, 1, 2, ''),
        ('2026-03-01', 'bounce_rate', '', 'engagement', 'rate', 0.9, 90, 100, ''),
        ('2026-03-02', 'bounce_rate', '', 'engagement', 'rate', 0, 0, 2, ''),
        ('2026-03-01', 'daily_active_users', '', 'engagement', 'count', 3, 3, NULL, ''),
        ('2026-03-02', 'daily_active_users', '', 'engagement', 'count', 4, 4, NULL, ''),
        ('2026-02-27', 'orders', '', 'revenue', 'count', 4, 4, NULL, ''),
        ('2026-03-01', 'orders', '', 'revenue', 'count', 2, 2, NULL, ''),
        ('2026-03-02', 'orders', '', 'revenue', 'count', 1, 1, NULL, ''),
        ('2026-03-01', 'gross_revenue', 'EUR', 'revenue', 'currency', 0.1, '0.1', NULL, ''),
        ('2026-03-02', 'gross_revenue', 'EUR', 'revenue', 'currency', 0.2, '0.2', NULL, ''),
        ('2026-03-01', 'gross_revenue', 'USD', 'revenue', 'currency', 7, '7', NULL, ''),
        ('2026-03-01', 'average_order_value', 'USD', 'revenue', 'currency', 3.5, '10', 3, ''),
        ('2026-03-01', 'checkout_conversion_rate', '', 'conversion', 'rate', NULL, 0, 0, ''),
        ('2026-03-01', 'orders', '', 'revenue', 'count', 99, 99, NULL, 'channel')""",
    "metric_catalog": """(metric, name, aggregation, formula, good_direction, target, target_currency, owner) VALUES
        ('bounce_rate', 'Bounce rate', 'ratio', 'Sessions of one event / sessions', 'down', 0.5, '', 'ann@example.com'),
        ('daily_active_users', 'Daily active users', 'daily_mean', 'Visitors', 'up', 3.5, '', 'ann@example.com'),
        ('orders', 'Orders', 'sum', 'Distinct orders', 'up', 1.5, '', 'bob@example.com'),
        ('gross_revenue', 'Gross revenue', 'sum', 'Sum of all sales', 'up', 2, 'USD', 'bob@example.com')""",
}
WATERMARKS = {
    "revenue_daily": "2026-03-05 10:00:00.000",
    "sessions": "2026-03-05 10:00:00.000",
    "events_daily": "2026-03-03 09:30:00.500",
    "funnels": "2026-03-05 10:00:00.000",
    "kpis_daily": "2026-03-05 10:00:00.000",
}


def promised_columns(project_root: Path, table: str) -> str:
    """Columns and types of a model's contract, or of a seed, as CREATE TABLE takes them."""
    [file] = [*project_root.glob(f"dbt/models/marts/*/{table}.yml"), *project_root.glob(f"dbt/seeds/{table}.yml")]
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    [resource] = document.get("models") or document["seeds"]
    seed_types = resource.get("config", {}).get("column_types", {})
    return ", ".join(
        f"{column['name']} {column.get('data_type') or seed_types[column['name']]}" for column in resource["columns"]
    )


def build_marts(client: Client, settings: WarehouseSettings, project_root: Path) -> None:
    marts, ops = settings.database("marts"), settings.database("ops")
    client.command(f"CREATE DATABASE {marts}")
    for table, rows in ROWS.items():
        columns = promised_columns(project_root, table)
        client.command(f"CREATE TABLE {marts}.{table} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        client.command(f"INSERT INTO {marts}.{table} {rows}")
    for table, moment in WATERMARKS.items():
        client.command(
            f"INSERT INTO {ops}.watermarks (model, high_watermark, committed_at) "
            f"VALUES ('{table}', '2026-03-31', '2026-01-01'), ('{table}', '{moment}', '2026-03-05')"
        )


@pytest.fixture(scope="module")
def dashboard(gateway: Gateway, valkey: Valkey) -> Iterator[Api]:
    """An API over the tiny marts; its client sends an analyst's token."""
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    client = connect(warehouse_settings)
    build_marts(client, warehouse_settings, Path(__file__).parents[3])
    client.close()
    with serving(settings, warehouse_settings) as api_client:
        api_client.headers.update(bearer(token_for(settings, Role.ANALYST)))
        yield Api(api_client, settings, warehouse_settings)
