"""Puts the API together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from ingest_api import errors, health, openapi
from ingest_api.config import ApiSettings
from ingest_api.dashboards import router as dashboards
from ingest_api.events.hot_routes import HotRoutes
from ingest_api.events.openapi import openapi_paths
from ingest_api.services import open_services
from warehouse.config import WarehouseSettings


def create_app(settings: ApiSettings, warehouse_settings: WarehouseSettings) -> ASGIApp:
    """The whole API as one ASGI application; it connects to nothing before its lifespan starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_services(settings, warehouse_settings) as services:
            yield {"services": services, "health": health.HealthMonitor(services)}

    app = FastAPI(
        title="Analytics API", version=version("analytics-service"), lifespan=lifespan, docs_url=None, redoc_url=None
    )
    errors.install(app)
    app.include_router(health.router)
    app.include_router(dashboards.router)
    openapi.install(app, openapi_paths())
    return HotRoutes(app)
