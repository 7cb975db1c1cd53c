"""The API with two more routes, which do only what the others do first: authenticate, and read the body.

What those achieve beside them, in the same server with the same settings, is what their own work costs.
"""

import sys

from ingest_api.__main__ import serve
from ingest_api.events import hot_routes as track_routes
from ingest_api.flags import hot_routes as evaluation_routes
from ingest_api.raw_answers import Answer, Asked
from ingest_api.raw_routes import Route
from ingest_api.services import Services

EVENT_PATH = "/api/analytics/empty"
FLAG_PATH = "/api/feature-flags/empty"
# As long as the answers of the others.
_OF_EVENT = b'{"status":"accepted","eventId":"00000000-0000-7000-8000-000000000000"}'
_OF_FLAG = b'{"key":"","value":false,"variant":"off","reason":"DEFAULT","ruleId":null,"version":1}'


async def _take_no_event(asked: Asked, services: Services) -> Answer:
    return Answer(_OF_EVENT)


async def _evaluate_no_flag(asked: Asked, services: Services) -> Answer:
    return Answer(_OF_FLAG)


ROUTES = (
    Route(EVENT_PATH, _take_no_event, track_routes.sender_of),
    Route(FLAG_PATH, _evaluate_no_flag, evaluation_routes.caller_of),
)

if __name__ == "__main__":
    sys.exit(serve(ROUTES))
