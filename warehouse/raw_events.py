"""One row of `raw.events` as the ingest path writes it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An accepted event. Fields are the columns of `raw.events` in order, but for `inserted_at`, which the server sets.

    Times are aware UTC with milliseconds; empty text stands for "not given".
    """

    event_id: str
    event_name: str
    event_type: str
    user_id: str
    anonymous_id: str
    session_id: str
    occurred_at: datetime
    received_at: datetime
    properties: str
    """JSON object as text: text can never poison a batch."""
    context: str
    """JSON object as text."""
    source: str
    """What the write key names, for example `web`."""
