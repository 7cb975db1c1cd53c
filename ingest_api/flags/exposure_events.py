"""Events that this service logs itself: who saw what."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from ingest_api.events.enrichment.senders import Sender
from ingest_api.events.normalise import uuid7
from warehouse.raw_events import RawEvent

_TYPE = "experiment"
_encoder = msgspec.json.Encoder()


def exposure_event(
    name: str, properties: Mapping[str, Any], user_id: str, source: str, sender: Sender, received_at: datetime
) -> RawEvent:
    """The event of one exposure, as if the app had sent it."""
    return RawEvent(
        uuid7(received_at),
        name,
        _TYPE,
        user_id,
        "",
        "",
        received_at,
        received_at,
        _encoder.encode(properties).decode(),
        "{}",
        source,
        0,
        (),
        *sender,
    )
