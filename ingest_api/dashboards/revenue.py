"""The revenue report: what came in, what went back, per currency; amounts of different currencies are never added."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Self

from pydantic import Field

from ingest_api.camel_model import CamelModel
from ingest_api.dashboards.comparison import Money, MoneyComparison, NumberComparison, exact_sum, money_ratio
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
    now = _Totals.of(row for row in rows if row["revenue_date"] >= period.start)
    before = _Totals.of(row for row in rows if row["revenue_date"] < period.start)
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


@dataclass(frozen=True, slots=True)
class _Totals:
    gross: Decimal
    refunds: Decimal
    net: Decimal
    orders: int
    refund_count: int

    @classmethod
    def of(cls, days: Iterable[dict[str, Any]]) -> Self:
        days = list(days)
        return cls(
            gross=exact_sum(day["gross_revenue_amount"] for day in days),
            refunds=exact_sum(day["refund_amount"] for day in days),
            net=exact_sum(day["net_revenue_amount"] for day in days),
            orders=sum(day["order_count"] for day in days),
            refund_count=sum(day["refund_count"] for day in days),
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
