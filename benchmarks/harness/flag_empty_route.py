"""The API with one more route, which does only what every route that evaluates does: authenticate and read the body.

It is served by the same process as those, so that what they achieve beside it is what evaluating and encoding cost.
"""

import sys

from starlette.types import ASGIApp

from ingest_api.__main__ import serve
from ingest_api.flags.addresses import find_route
from ingest_api.flags.hot_routes import Answer, Asked, FlagRoutes, Route
from ingest_api.services import Services

EMPTY_PATH = "/api/feature-flags/empty"
_ANSWER = b'{"key":"","value":false,"variant":"off","reason":"DEFAULT","ruleId":null,"version":1}'


async def _empty(asked: Asked, services: Services) -> Answer:
    return Answer(_ANSWER)


_FOUND = Route(EMPTY_PATH, _empty), ""


def with_empty_route(app: ASGIApp) -> ASGIApp:
    """Serve the empty route and pass every other request on to `app`."""
    return FlagRoutes(app, lambda path: _FOUND if path == EMPTY_PATH else find_route(path))


if __name__ == "__main__":
    sys.exit(serve(with_empty_route))
