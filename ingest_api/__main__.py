"""`python -m ingest_api`: serve the API until SIGTERM or SIGINT, then finish what was begun and exit 0."""

import gc
import signal
import sys
from collections.abc import Iterable

import uvicorn
from pydantic import ValidationError

from ingest_api.app import create_app
from ingest_api.config import ApiSettings, settings_sentence
from ingest_api.events.enrichment.countries import GeoipFileUnusable
from ingest_api.log_format import configure_logging
from ingest_api.raw_routes import Route
from ingest_api.server import ApiServer
from ingest_api.tracking_plan.plan import PlanInvalid
from warehouse.config import WarehouseSettings

_WRONG_SETTINGS = 2
# Longer than clients and proxies stay idle: they close first, not the server, so none meets a closed connection.
_KEEP_ALIVE_SECONDS = 75
_FINISH_SECONDS = 20


def serve(more_routes: Iterable[Route] = ()) -> int:
    """Serve the API and `more_routes`.

    The exit code is 2 when a setting, or a file that one names, is wrong, 3 when the port is taken, else 0.
    """
    try:
        settings, warehouse_settings = ApiSettings(), WarehouseSettings()
    except ValidationError as error:
        sys.stderr.write(f"ingest_api cannot start: {settings_sentence(error)}\n")
        return _WRONG_SETTINGS
    try:
        app = create_app(settings, warehouse_settings, more_routes)
    except PlanInvalid as error:
        sys.stderr.write(f"ingest_api cannot start: ANALYTICS_TRACKING_PLAN: {error}\n")
        return _WRONG_SETTINGS
    except GeoipFileUnusable as error:
        sys.stderr.write(f"ingest_api cannot start: ANALYTICS_GEOIP_FILE: {error}\n")
        return _WRONG_SETTINGS
    configure_logging(settings.log_level)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="httptools",
        loop="uvloop",
        ws="none",
        # It would believe X-Forwarded-For of any local process; ANALYTICS_TRUSTED_PROXIES says what to believe.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_FINISH_SECONDS,
        access_log=False,
        log_config=None,
        server_header=False,
    )
    # uvicorn raises the signal that stopped it once more when it is done; an orderly stop is not a failure.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: None)
    # What is loaded by now stays: a full collection that walks over all of it would come every few thousand requests.
    gc.collect()
    gc.freeze()
    ApiServer(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(serve())
