"""`POST /api/analytics/track` and `/track/batch`, in front of the web framework.

Their description in the OpenAPI document is `openapi.openapi_paths`.
"""

from collections import Counter
from collections.abc import Awaitable

import msgspec
from starlette.types import Scope

from ingest_api.auth.principals import Principal
from ingest_api.auth.roles import Permission
from ingest_api.events.answers import all_refused, batch_verdict
from ingest_api.events.payload import decode_batch
from ingest_api.events.reception import rows_of, take_in
from ingest_api.raw_answers import Answer, Asked
from ingest_api.raw_routes import Route
from ingest_api.services import Services

TRACK_PATH = "/api/analytics/track"
BATCH_PATH = "/api/analytics/track/batch"

_encoder = msgspec.json.Encoder()


async def sender_of(scope: Scope, _: str, services: Services) -> Principal:
    """Who sends events, by a credential in the headers or in the query string; errors of `Authenticator`."""
    principal = await services.authenticator.authenticate(scope["headers"], scope["query_string"])
    principal.require(Permission.EVENTS_WRITE)
    return principal


def track(asked: Asked, services: Services) -> Awaitable[Answer]:
    """Take in one event."""
    return services.singles.take_in(asked)


async def track_batch(asked: Asked, services: Services) -> Answer:
    """Take in the events of a batch, each by itself."""
    source = asked.source
    received = await take_in(decode_batch(asked.body), source, services.intake, asked.sender)
    await services.event_stream.append(rows_of(received.accepted, received.rejected))
    for code, count in Counter(row.code for row in received.rejected).items():
        services.metrics.rejected(source, code, count)
    if not received.accepted:
        raise all_refused(received.rejected)
    services.metrics.accepted(source, len(received.accepted))
    return Answer(_encoder.encode(batch_verdict(received)), 202)


ROUTES = (Route(TRACK_PATH, track, sender_of), Route(BATCH_PATH, track_batch, sender_of))
