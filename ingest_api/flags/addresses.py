"""Which route serves an address: those that evaluate, each protocol's own."""

from ingest_api.experiments import assign_route
from ingest_api.flags import growthbook, hot_routes, ofrep
from ingest_api.flags.hot_routes import Route

_BEGINNINGS = ("/api/f", "/api/e", "/ofrep/")


def find_route(path: str) -> tuple[Route, str] | None:
    """The route of a path and what the path names beside it; None when something else serves it."""
    if not path.startswith(_BEGINNINGS):
        return None
    return (
        hot_routes.find_route(path)
        or ofrep.find_route(path)
        or growthbook.find_route(path)
        or assign_route.find_route(path)
    )
