"""The API with one more hot route, which does with an event only what every route does: authenticate, read the body.

What `track` achieves beside it, in the same server with the same settings, is what judging and durable storage cost.
"""

import sys

from starlette.types import ASGIApp

from ingest_api.__main__ import serve
from ingest_api.events.enrichment.senders import Sender
from ingest_api.events.hot_routes import HotRoutes
from ingest_api.services import Services

EMPTY_PATH = "/api/analytics/empty"
# As long as the answer of `track`.
_ANSWER = b'{"status":"accepted","eventId":"00000000-0000-7000-8000-000000000000"}'


async def _empty(body: bytes, source: str, sender: Sender, services: Services) -> bytes:
    return _ANSWER


def with_empty_route(app: ASGIApp) -> ASGIApp:
    """Serve the empty route and pass every other request on to `app`."""
    return HotRoutes(app, {EMPTY_PATH: _empty})


if __name__ == "__main__":
    sys.exit(serve(with_empty_route))
