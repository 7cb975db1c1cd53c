"""The revenue report: what came in, what went back, per currency; amounts of different currencies are never added."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import Field

from ingest_api.camel_model import CamelModel
from ingest_api.dashboards.comparison import Money, MoneyComparison, NumberComparison, money_ratio
from ingest_api.dashboards.marts import Marts, Report
from ingest_api.dashboards.periods import Period


class RevenueTotals(CamelModel):
    """Over the whole period."""

    gross_revenue: MoneyComparison
    refunds: MoneyComparison = Field(description="Positive; net = gross - refunds")
    net_revenue: MoneyComparison
    orders: NumberComparison
    refund_count: NumberComparison
    average_order_value: MoneyComparison = Field(description="gross / orders; null without orders")


class RevenueDay(CamelModel):
    """One day; a day without sales is listed with zeros."""

    date: date
    gross_revenue: Money
    refunds: Money
    net_revenue: Money
    orders: int
    buyers: int = Field(description="Distinct buyers of the day; buyers of several days cannot be added")


class CurrencyRevenue(CamelModel):
    """Revenue in one currency."""

    currency: str = Field(examples=["USD"])
    totals: RevenueTotals
    daily: list[RevenueDay]


class RevenueReport(Report):
    """Revenue of a period, one entry per currency that occurs in it or in the previous one."""

    currencies: list[CurrencyRevenue]


@dataclass(slots=True)
class _Sum:
    gross: Decimal = Decimal(0)
    refunds: Decimal = Decimal(0)
    net: Decimal = Decimal(0)
    orders: int = 0
    refund_count: int = 0

    def add(self, row: dict[str, Any]) -> None:
        self.gross += row["gross_revenue_amount"]
        self.refunds += row["refund_amount"]
        self.net += row["net_revenue_amount"]
        self.orders += row["order_count"]
        self.refund_count += row["refund_count"]


async def revenue_report(marts: Marts) -> RevenueReport:
    """Read and put together; errors as `Marts.rows`."""
    heading = await marts.heading("revenue_daily")
    rows = await marts.rows("revenue_daily.sql")
    days = marts.period.days_until(heading["as_of"])
    currencies = sorted({row["currency"] for row in rows})
    return RevenueReport(
        **heading,
        currencies=[
            currency_revenue(currency, [row for row in rows if row["currency"] == currency], marts.period, days)
            for currency in currencies
        ],
    )


def currency_revenue(currency: str, rows: list[dict[str, Any]], period: Period, days: list[date]) -> CurrencyRevenue:
    """Compare and list one currency's rows of `sql/revenue_daily.sql`; `days` are those that the series shows."""
    now, before = _Sum(), _Sum()
    for row in rows:
        (now if row["revenue_date"] >= period.start else before).add(row)
    by_day = {row["revenue_date"]: row for row in rows}
    return CurrencyRevenue(
        currency=currency,
        totals=RevenueTotals(
            gross_revenue=MoneyComparison.of(now.gross, before.gross),
            refunds=MoneyComparison.of(now.refunds, before.refunds),
            net_revenue=MoneyComparison.of(now.net, before.net),
            orders=NumberComparison.of(now.orders, before.orders),
            refund_count=NumberComparison.of(now.refund_count, before.refund_count),
            average_order_value=MoneyComparison.of(
                money_ratio(now.gross, now.orders), money_ratio(before.gross, before.orders)
            ),
        ),
        daily=[_day(day, by_day.get(day, {})) for day in days],
    )


def _day(day: date, row: dict[str, Any]) -> RevenueDay:
    return RevenueDay(
        date=day,
        gross_revenue=row.get("gross_revenue_amount", Decimal(0)),
        refunds=row.get("refund_amount", Decimal(0)),
        net_revenue=row.get("net_revenue_amount", Decimal(0)),
        orders=row.get("order_count", 0),
        buyers=row.get("buyer_count", 0),
    )
