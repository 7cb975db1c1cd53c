"""`GET /api/dashboard/bi/...`: numbers for people and BI tools; needs the permission analytics:read."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from ingest_api.auth.permissions import CanReadAnalytics
from ingest_api.dashboards.kpis import Category, KpiReport, kpi_report
from ingest_api.dashboards.marts import Marts
from ingest_api.dashboards.performance import PerformanceReport, performance_report
from ingest_api.dashboards.periods import DEFAULT_DAYS, LONGEST_DAYS, read_period
from ingest_api.dashboards.revenue import RevenueReport, revenue_report
from ingest_api.openapi import problem_responses
from ingest_api.services import services_of

router = APIRouter(prefix="/api/dashboard/bi", tags=["dashboards"], responses=problem_responses(400, 401, 403, 503))

_DAY: JsonDict = {"format": "date", "examples": ["2026-01-31"]}


class PeriodQuery(BaseModel):
    """Query parameters of every report. An unknown one is refused: a misspelt date would show other days than asked."""

    model_config = ConfigDict(extra="forbid")

    start_date: str | None = Field(
        None,
        alias="startDate",
        description=f"First day (UTC), inclusive; a period has {DEFAULT_DAYS} days by default, at most {LONGEST_DAYS}",
        json_schema_extra=_DAY,
    )
    end_date: str | None = Field(
        None, alias="endDate", description="Last day (UTC), inclusive; by default yesterday", json_schema_extra=_DAY
    )


class KpiQuery(PeriodQuery):
    """Query parameters of the KPI report."""

    category: Category | None = Field(None, description="Only this category")


def _marts(request: Request, query: PeriodQuery) -> Marts:
    period = read_period(query.start_date, query.end_date, datetime.now(UTC).date())
    return Marts(services_of(request.scope).warehouse, period)


@router.get("/revenue", summary="Revenue, refunds and orders")
async def revenue(caller: CanReadAnalytics, query: Annotated[PeriodQuery, Query()], request: Request) -> RevenueReport:
    """Revenue, refunds and orders per currency, with a daily series and the previous period."""
    return await revenue_report(_marts(request, query))


@router.get("/performance", summary="Use of the product and conversion")
async def performance(
    caller: CanReadAnalytics, query: Annotated[PeriodQuery, Query()], request: Request
) -> PerformanceReport:
    """Sessions, visitors, bounces, durations, conversion, top events and pages, funnels, and the previous period."""
    return await performance_report(_marts(request, query))


@router.get("/kpis", summary="Key figures")
async def kpis(caller: CanReadAnalytics, query: Annotated[KpiQuery, Query()], request: Request) -> KpiReport:
    """Each metric over the period, its change, which way is good, and its days."""
    return await kpi_report(_marts(request, query), query.category)
