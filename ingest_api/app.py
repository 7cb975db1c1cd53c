"""Puts the API together."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from ingest_api import errors, health, metrics_route, openapi
from ingest_api.config import ApiSettings
from ingest_api.dashboards import router as dashboards
from ingest_api.events import hot_routes as track_routes
from ingest_api.events.cross_origin import ALLOWED_HEADERS, EXPOSED_HEADERS
from ingest_api.events.intake import load_intake
from ingest_api.events.openapi import openapi_paths as track_paths
from ingest_api.experiments import assign_route
from ingest_api.experiments import results_router as experiment_results
from ingest_api.experiments import router as experiments
from ingest_api.experiments.openapi import openapi_paths as assignment_paths
from ingest_api.flags import growthbook, ofrep
from ingest_api.flags import hot_routes as evaluation_routes
from ingest_api.flags import router as flags
from ingest_api.flags.client_openapi import openapi_paths as client_paths
from ingest_api.flags.openapi import openapi_paths as evaluation_paths
from ingest_api.quarantine import router as quarantine
from ingest_api.raw_routes import RawRoutes, Route
from ingest_api.services import open_services
from ingest_api.tracking_plan import router as tracking_plan
from ingest_api.tracking_plan.plan import load_plan
from warehouse.config import WarehouseSettings


def create_app(
    settings: ApiSettings, warehouse_settings: WarehouseSettings, more_routes: Iterable[Route] = ()
) -> ASGIApp:
    """The whole API, and `more_routes`, as one ASGI application; it connects to nothing before its lifespan starts.

    Raises:
        PlanInvalid: the tracking plan cannot be used.
        GeoipFileUnusable: the file of countries cannot be used.
    """
    intake = load_intake(settings, load_plan(settings.analytics_tracking_plan))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_services(settings, warehouse_settings, intake) as services:
            yield {"services": services, "health": health.HealthMonitor(services)}

    app = FastAPI(
        title="Analytics API", version=version("analytics-service"), lifespan=lifespan, docs_url=None, redoc_url=None
    )
    errors.install(app)
    # Around the answers to errors. Any site's page may ask: what is answered depends on the token it holds, never on a
    # cookie. The routes in front, which track and evaluate, answer for themselves.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["*"],
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
    )
    app.include_router(health.router)
    app.include_router(metrics_route.router)
    app.include_router(dashboards.router)
    app.include_router(quarantine.router)
    app.include_router(tracking_plan.router)
    app.include_router(flags.router)
    app.include_router(experiments.router)
    app.include_router(experiment_results.router)
    openapi.install(app, {**track_paths(), **evaluation_paths(), **client_paths(), **assignment_paths()})
    routes = (
        *track_routes.ROUTES,
        *evaluation_routes.ROUTES,
        *ofrep.ROUTES,
        *growthbook.ROUTES,
        *assign_route.ROUTES,
        *more_routes,
    )
    return RawRoutes(growthbook.ListenerRoute(app), routes)
