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

# A person who comes on two days is one active user of each, so the days of such metrics cannot be added.
_AGGREGATIONS: dict[str, Aggregation] = {"sum": "sum", "daily_mean": "dailyMean", "ratio": "ratio"}

_TARGET = "What the period should reach, or stay at or below where `goodDirection` is down; null when there is none"


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
    owner: str | None = Field(description="E-mail address of who answers for it")
    meets_target: bool | None = Field(description="Whether the period is as good as `target`; null without either")
    days_with_data: int = Field(description="Days of the period that the metric has a row for")


class NumberKpi(_Kpi):
    """A metric that is a count, a rate (0 to 1) or a time in seconds."""

    unit: Literal["count", "rate", "seconds"]
    target: Number | None = Field(description=_TARGET)
    over_period: NumberComparison
    daily: list[KpiDay]


class MoneyKpi(_Kpi):
    """A metric that is an amount of one currency."""

    unit: Literal["currency"]
    currency: str
    target: Money | None = Field(description=_TARGET)
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
        "owner": first["owner"] or None,
        "days_with_data": len(now),
        "unit": first["unit"],
    }
    target = _target(aggregation, first["target"], len(days))
    by_day = {row["kpi_date"]: row for row in now}
    if first["unit"] == "currency":
        amounts = MoneyComparison.of(_amount(aggregation, now), _amount(aggregation, before))
        return MoneyKpi(
            **about,
            currency=first["currency"],
            target=target,
            meets_target=_meets(target, amounts.value, about["good_direction"]),
            over_period=amounts,
            daily=[
                MoneyKpiDay(date=day, value=_amount(aggregation, [by_day[day]] if day in by_day else []))
                for day in days
            ],
        )
    numbers = NumberComparison.of(_number(aggregation, now), _number(aggregation, before))
    return NumberKpi(
        **about,
        target=None if target is None else _plain(target),
        meets_target=_meets(target, numbers.value, about["good_direction"]),
        over_period=numbers,
        daily=[KpiDay(date=day, value=_number(aggregation, [by_day[day]] if day in by_day else [])) for day in days],
    )


def _aggregation(rows: list[dict[str, Any]]) -> Aggregation:
    if rows[0]["aggregation"]:
        return _AGGREGATIONS[rows[0]["aggregation"]]
    return "sum" if all(row["denominator"] is None for row in rows) else "ratio"


def _target(aggregation: Aggregation, of_a_day: Decimal | None, days: int) -> Decimal | None:
    """What the days should reach together; None without a target, and before the first day has begun."""
    if of_a_day is None or not days:
        return None
    return of_a_day * days if aggregation == "sum" else of_a_day


def _meets(target: Decimal | None, value: Decimal | float | None, good_direction: Direction) -> bool | None:
    if target is None or value is None:
        return None
    reached = Decimal(str(value))
    return reached >= target if good_direction == "up" else reached <= target


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
    return _plain(total)


def _plain(number: Decimal) -> int | float:
    return int(number) if number == int(number) else float(number)


def _part(row: dict[str, Any]) -> Decimal:
    """What a day adds: the exact numerator where there is one, else the value."""
    if row["numerator"] is not None:
        return Decimal(row["numerator"])
    return Decimal(str(row["value"] or 0))


def _denominator(rows: list[dict[str, Any]]) -> Decimal:
    return exact_sum(Decimal(row["denominator"] or 0) for row in rows)
