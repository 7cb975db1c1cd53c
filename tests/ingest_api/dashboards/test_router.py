"""The reports over marts with known rows: the period is 1 to 3 March 2026, 26 to 28 February are compared."""

from typing import Any

import pytest

from ingest_api.auth.roles import Role
from tests.conftest import Valkey
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import api_settings, bearer, nowhere, serving, token_for

MARCH = {"startDate": "2026-03-01", "endDate": "2026-03-03"}


def report(dashboard: Api, name: str, **query: str) -> dict[str, Any]:
    response = dashboard.client.get(f"/api/dashboard/bi/{name}", params={**MARCH, **query})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def compared(value: Any, previous: Any, change: Any, rate: Any) -> dict[str, Any]:
    return {"value": value, "previous": previous, "change": change, "changeRate": rate}


def test_revenue_is_exact_and_per_currency(dashboard: Api) -> None:
    found = report(dashboard, "revenue")

    euro, dollar = found["currencies"]
    assert (euro["currency"], dollar["currency"]) == ("EUR", "USD")
    assert euro["totals"]["grossRevenue"]["value"] == "12345678901234567890.1234"
    assert dollar["totals"] == {
        "grossRevenue": compared("30.30", "40.10", "-9.80", -0.244389),
        "refunds": compared("5.10", "0.00", "5.10", None),
        "netRevenue": compared("25.20", "40.10", "-14.90", -0.371571),
        "orders": compared(3, 2, 1, 0.5),
        "refundCount": compared(2, 0, 2, None),
        "averageOrderValue": compared("10.10", "20.05", "-9.95", -0.496259),
    }
    assert euro["totals"]["averageOrderValue"]["previous"] is None


def test_revenue_lists_every_day_of_the_period(dashboard: Api) -> None:
    _, dollar = report(dashboard, "revenue")["currencies"]

    empty = {"grossRevenue": "0.00", "refunds": "0.00", "netRevenue": "0.00", "orders": 0, "buyers": 0}
    assert dollar["daily"] == [
        {
            "date": "2026-03-01",
            "grossRevenue": "30.10",
            "refunds": "0.10",
            "netRevenue": "30.00",
            "orders": 2,
            "buyers": 2,
        },
        {"date": "2026-03-02", **empty},
        {
            "date": "2026-03-03",
            "grossRevenue": "0.20",
            "refunds": "5.00",
            "netRevenue": "-4.80",
            "orders": 1,
            "buyers": 1,
        },
    ]


def test_report_says_its_periods_sources_and_time(dashboard: Api) -> None:
    found = report(dashboard, "revenue")

    assert found["asOf"] == "2026-03-05T10:00:00Z"
    assert found["period"] == {"startDate": "2026-03-01", "endDate": "2026-03-03", "days": 3, "isComplete": True}
    assert found["previousPeriod"]["startDate"] == "2026-02-26"
    assert found["previousPeriod"]["endDate"] == "2026-02-28"
    assert found["sources"] == [f"{dashboard.environment}_marts.revenue_daily"]


def test_report_is_as_old_as_the_oldest_table_it_reads(dashboard: Api) -> None:
    found = report(dashboard, "performance")

    assert found["asOf"] == "2026-03-03T09:30:00.500000Z"
    assert found["period"]["isComplete"] is False


def test_performance_totals(dashboard: Api) -> None:
    totals = report(dashboard, "performance")["totals"]

    assert totals == {
        "sessions": compared(4, 2, 2, 1.0),
        "visitors": compared(3, 2, 1, 0.5),
        "bounceRate": compared(0.5, 0.5, 0.0, 0.0),
        "averageSessionSeconds": compared(15.0, 5.0, 10.0, 2.0),
        "medianSessionSeconds": compared(5.0, 5.0, 0.0, 0.0),
        "pagesPerSession": compared(1.5, 1.5, 0.0, 0.0),
        "conversionRate": compared(0.25, 0.0, 0.25, None),
        "pageViews": compared(6, 3, 3, 1.0),
        "events": compared(10, 3, 7, 2.333333),
    }


def test_performance_lists_days_events_pages_and_funnel(dashboard: Api) -> None:
    found = report(dashboard, "performance")

    assert [(day["date"], day["sessions"], day["visitors"]) for day in found["daily"]] == [
        ("2026-03-01", 1, 1),
        ("2026-03-02", 2, 2),
        ("2026-03-03", 1, 1),
    ]
    assert [(top["eventName"], top["events"]["value"], top["events"]["previous"]) for top in found["topEvents"]] == [
        ("page_view", 6, 3),
        ("click", 3, 0),
        ("purchase", 1, 0),
    ]
    assert [(page["page"], page["sessions"]["value"], page["bounceRate"]) for page in found["topEntryPages"]] == [
        ("/", 2, 0.5),
        ("/sale", 1, 0.0),
    ]
    [checkout] = found["funnels"]
    assert checkout["name"] == "checkout"
    entered, bought = checkout["steps"]
    assert entered["visitors"] == compared(10, 10, 0, 0.0)
    assert entered["stepConversionRate"]["value"] == 1.0
    assert bought["visitors"] == compared(1, 5, -4, -0.8)
    assert bought["conversionRate"] == compared(0.1, 0.5, -0.4, -0.8)


def test_performance_of_days_without_data_is_zero_or_undefined(dashboard: Api) -> None:
    found = report(dashboard, "performance", startDate="2020-01-01", endDate="2020-01-02")

    assert found["totals"]["sessions"] == compared(0, 0, 0, None)
    assert found["totals"]["bounceRate"] == compared(None, None, None, None)
    assert found["topEvents"] == found["funnels"] == []


def test_kpis_are_computed_from_sums_not_from_daily_ratios(dashboard: Api) -> None:
    items = {(item["metric"], item.get("currency")): item for item in report(dashboard, "kpis")["items"]}

    bounce_rate = items["bounce_rate", None]
    assert bounce_rate["overPeriod"] == compared(0.882353, 0.5, 0.382353, 0.764706)
    assert (bounce_rate["name"], bounce_rate["formula"]) == ("Bounce rate", "Sessions of one event / sessions")
    assert (bounce_rate["aggregation"], bounce_rate["goodDirection"]) == ("ratio", "down")
    assert [day["value"] for day in bounce_rate["daily"]] == [0.9, 0.0, None]
    assert items["daily_active_users", None]["overPeriod"]["value"] == 3.5
    assert items["daily_active_users", None]["daysWithData"] == 2
    assert items["orders", None]["overPeriod"] == compared(3, 4, -1, -0.25)
    assert items["gross_revenue", "EUR"]["overPeriod"]["value"] == "0.30"
    assert items["gross_revenue", "USD"]["overPeriod"]["value"] == "7.00"
    assert items["average_order_value", "USD"]["overPeriod"]["value"] == "3.3333"
    assert items["checkout_conversion_rate", None]["overPeriod"]["value"] is None
    assert items["checkout_conversion_rate", None]["name"] == "Checkout conversion rate"


@pytest.mark.parametrize(
    ("metric", "currency", "target", "is_met"),
    [
        # Three days at 1.5 orders are 4.5; there were 3.
        pytest.param("orders", None, 4.5, False, id="sum"),
        pytest.param("daily_active_users", None, 3.5, True, id="mean, just reached"),
        pytest.param("bounce_rate", None, 0.5, False, id="better when it is down"),
        pytest.param("gross_revenue", "USD", "6.00", True, id="amount"),
        pytest.param("gross_revenue", "EUR", None, None, id="target in another currency"),
        pytest.param("checkout_conversion_rate", None, None, None, id="not in the catalog"),
    ],
)
def test_kpi_stands_beside_its_target(
    dashboard: Api, metric: str, currency: str | None, target: object, is_met: bool | None
) -> None:
    items = {(item["metric"], item.get("currency")): item for item in report(dashboard, "kpis")["items"]}

    kpi = items[metric, currency]

    assert (kpi["target"], kpi["meetsTarget"]) == (target, is_met)


def test_kpi_names_its_owner(dashboard: Api) -> None:
    owners = {item["metric"]: item["owner"] for item in report(dashboard, "kpis")["items"]}

    assert owners["orders"] == "bob@example.com"
    assert owners["checkout_conversion_rate"] is None


def test_kpis_are_filtered_by_category(dashboard: Api) -> None:
    found = report(dashboard, "kpis", category="engagement")

    assert {item["metric"] for item in found["items"]} == {"bounce_rate", "daily_active_users"}


def test_unknown_category_is_refused_with_the_allowed_ones(dashboard: Api) -> None:
    response = dashboard.client.get("/api/dashboard/bi/kpis", params={"category": "growth"})

    [wrong] = response.json()["errors"]
    assert response.status_code == 400
    assert wrong["field"] == "category"
    assert all(allowed in wrong["message"] for allowed in ("revenue", "engagement", "conversion"))


@pytest.mark.parametrize("name", ["revenue", "performance", "kpis"])
def test_misspelt_parameter_is_refused(dashboard: Api, name: str) -> None:
    response = dashboard.client.get(f"/api/dashboard/bi/{name}", params={"start_date": "2026-03-01"})

    assert response.status_code == 400
    assert response.json()["errors"] == [{"field": "start_date", "message": "is not known here"}]


@pytest.mark.parametrize("name", ["revenue", "performance", "kpis"])
def test_report_says_that_nothing_is_built_yet(api: Api, name: str) -> None:
    headers = bearer(token_for(api.settings, Role.VIEWER))

    response = api.client.get(f"/api/dashboard/bi/{name}", headers=headers)

    assert (response.status_code, response.json()["code"]) == (503, "marts_not_built")
    assert response.headers["retry-after"] == "60"
    assert "dbt build" in response.json()["detail"]


def test_report_answers_503_when_clickhouse_is_away(valkey: Valkey) -> None:
    settings = api_settings(valkey.url)

    with serving(settings, nowhere()) as client:
        response = client.get("/api/dashboard/bi/performance", headers=bearer(token_for(settings)))

    assert (response.status_code, response.json()["code"]) == (503, "warehouse_unavailable")
    assert int(response.headers["retry-after"]) > 0
