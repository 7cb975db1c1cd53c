"""Rejections put into the table for a test, and an API whose client may read and replay them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from redis import Redis

from ingest_api.auth.roles import Role
from ingest_api.events.stream import stream_keys
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import bearer, token_for
from warehouse.client import connect
from warehouse.config import WarehouseSettings
from warehouse.raw_events import QuarantineReplay, RejectedEvent

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def rejected(number: int, **changed: Any) -> RejectedEvent:
    """A rejection that was received `number` seconds after noon: without a user, so not valid today either."""
    payload = changed.pop("payload", {"eventName": "page_view", "properties": {"page": "/"}})
    fields: dict[str, Any] = {
        "rejection_id": f"r{number}",
        "event_id": f"e{number}",
        "event_name": "page_view",
        "code": "identity_missing",
        "field": "userId",
        "message": "userId or anonymousId is required.",
        "payload": payload if isinstance(payload, str) else json.dumps(payload),
        "is_complete": True,
        "rejected_by": "api",
        "source": "web",
        "received_at": NOON + timedelta(seconds=number),
    }
    return RejectedEvent(**fields | changed)


def healed(number: int, **changed: Any) -> RejectedEvent:
    """A rejection whose payload is valid by the rules of today."""
    return rejected(number, **{"payload": {"eventName": "page_view", "userId": "ada"}} | changed)


def replayed(number: int, outcome: str = "accepted", at: datetime = NOON + timedelta(hours=1)) -> QuarantineReplay:
    return QuarantineReplay(f"p{number}-{outcome}", f"r{number}", f"e{number}", outcome, "", "", "ann", at)


def store(settings: WarehouseSettings, *rows: RejectedEvent | QuarantineReplay) -> None:
    """Insert rows as the flusher does."""
    client = connect(settings)
    for table, kind in (("rejected_events", RejectedEvent), ("quarantine_replays", QuarantineReplay)):
        found = [msgspec.structs.astuple(row) for row in rows if isinstance(row, kind)]
        if found:
            names = [field.name for field in msgspec.structs.fields(kind)]
            client.insert(
                table,
                found,
                column_names=names,
                database=settings.database("raw"),
                settings={"insert_deduplicate": 0},
            )
    client.close()


@pytest.fixture
def quarantine(api: Api) -> Iterator[Api]:
    """An API with an empty quarantine; its client sends an editor's token."""
    client = connect(api.warehouse_settings)
    for table in ("events", "rejected_events", "quarantine_replays"):
        client.command(f"TRUNCATE TABLE {api.warehouse_settings.database('raw')}.{table}")
    client.close()
    # What a test before has replayed must not come into this one.
    with Redis.from_url(api.settings.redis_url) as redis:
        redis.xtrim(stream_keys(api.environment).events, maxlen=0)
    api.client.headers.update(bearer(token_for(api.settings, Role.EDITOR)))
    yield api
    del api.client.headers["authorization"]
