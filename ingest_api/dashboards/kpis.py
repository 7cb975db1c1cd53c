"""The KPI report: each metric over the period, from its daily parts.

A ratio over several days is the sum of its numerators by the sum of its denominators; the mean of daily ratios would
let a quiet Sunday weigh as much as Black Friday.
"""

from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from ingest_api.camel_model import CamelModel
from ingest_api.dashboards.comparison import (
    Money,
    MoneyComparison,
    Number,
    NumberComparison,
    exact_sum,
    money_ratio,
    ratio,
)
from ingest_api.dashboards.marts import Marts, Report

Category = Literal["revenue", "engagement", "conversion"]
Aggregation = Literal["sum", "dailyMean", "ratio"]
Direction = Literal["up", "down"]


# A person who comes on two days is one active user of each, so these days cannot be added.
_DAILY_MEANS = frozenset({"daily_active_users"})


class KpiDay(CamelModel):
    """A metric on one day."""

    date: date
    value: Number | None


class MoneyKpiDay(CamelModel):
    """An amount on one day."""

    date: date
    value: Money | None


class _Kpi(CamelModel):
    metric: str = Field(examples=["net_revenue"])
    name: str
    formula: str | None = Field(description="What a day's value is, in words")
    category: str
    aggregation: Aggregation = Field(description="How the days become one number")
    good_direction: Direction = Field(description="Which way of change is good news")
    days_with_data: int = Field(description="Days of the period that the metric has a row for")


class NumberKpi(_Kpi):
    """A metric that is a count, a rate (0 to 1) or a time in seconds."""

    unit: Literal["count", "rate", "seconds"]
    over_period: NumberComparison
    daily: list[KpiDay]


class MoneyKpi(_Kpi):
    """A metric that is an amount of one currency."""

    unit: Literal["currency"]
    currency: str
    over_period: MoneyComparison
    daily: list[MoneyKpiDay]


Kpi: TypeAlias = Annotated[NumberKpi | MoneyKpi, Field(discriminator="unit")]


class KpiReport(Report):
    """All metrics of the asked category."""

    items: list[Kpi]


async def kpi_report(marts: Marts, category: Category | None) -> KpiReport:
    """Read and put together; errors as `Marts.rows`."""
    heading = await marts.heading("kpis_daily")
    rows = await marts.rows("kpis_daily.sql", category=category or "")
    days = marts.period.days_until(heading["as_of"])
    one_metric = groupby(rows, key=lambda row: (row["category"], row["metric"], row["currency"]))
    return KpiReport(**heading, items=[kpi(list(group), marts.period.start, days) for _, group in one_metric])


def kpi(rows: list[dict[str, Any]], start: date, days: list[date]) -> NumberKpi | MoneyKpi:
    """One metric from its rows of `sql/kpis_daily.sql`: days before `start` are the previous period."""
    first = rows[0]
    now = [row for row in rows if row["kpi_date"] >= start]
    before = [row for row in rows if row["kpi_date"] < start]
    aggregation = _aggregation(rows)
    about = {
        "metric": first["metric"],
        # A funnel declared in the dbt project is a metric at once, and may be missing from the catalog.
        "name": first["name"] or first["metric"].replace("_", " ").capitalize(),
        "formula": first["formula"] or None,
        "category": first["category"],
        "aggregation": aggregation,
        "good_direction": first["good_direction"] or "up",
        "days_with_data": len(now),
        "unit": first["unit"],
    }
    by_day = {row["kpi_date"]: row for row in now}
    if first["unit"] == "currency":
        return MoneyKpi(
            **about,
            currency=first["currency"],
            over_period=MoneyComparison.of(_amount(aggregation, now), _amount(aggregation, before)),
            daily=[
                MoneyKpiDay(date=day, value=_amount(aggregation, [by_day[day]] if day in by_day else []))
                for day in days
            ],
        )
    return NumberKpi(
        **about,
        over_period=NumberComparison.of(_number(aggregation, now), _number(aggregation, before)),
        daily=[KpiDay(date=day, value=_number(aggregation, [by_day[day]] if day in by_day else [])) for day in days],
    )


def _aggregation(rows: list[dict[str, Any]]) -> Aggregation:
    if any(row["denominator"] is not None for row in rows):
        return "ratio"
    return "dailyMean" if rows[0]["metric"] in _DAILY_MEANS else "sum"


def _amount(aggregation: Aggregation, rows: list[dict[str, Any]]) -> Decimal | None:
    total = exact_sum(_part(row) for row in rows)
    if aggregation == "ratio":
        return money_ratio(total, _denominator(rows))
    return total if aggregation == "sum" else money_ratio(total, len(rows))


def _number(aggregation: Aggregation, rows: list[dict[str, Any]]) -> int | float | None:
    total = exact_sum(_part(row) for row in rows)
    if aggregation == "ratio":
        return ratio(total, _denominator(rows))
    if aggregation == "dailyMean":
        return ratio(total, len(rows))
    return int(total) if total == int(total) else float(total)


def _part(row: dict[str, Any]) -> Decimal:
    """What a day adds: the exact numerator where there is one, else the value."""
    if row["numerator"] is not None:
        return Decimal(row["numerator"])
    return Decimal(str(row["value"] or 0))


def _denominator(rows: list[dict[str, Any]]) -> Decimal:
    return exact_sum(Decimal(row["denominator"] or 0) for row in rows)
