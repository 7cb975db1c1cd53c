"""Rows of the raw tables as the ingest path writes them.

Fields are the columns of the table, but for `inserted_at`, which the server sets. A field that has its default value is
left out of the JSON: the table fills it in. Times are aware UTC with milliseconds; empty text stands for "not given".
"""

from datetime import datetime

import msgspec

FRESHNESS_PROBE = "$freshness_probe"
"""Name of the event that measures how long events take to arrive; no model counts it."""


class RawEvent(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An accepted event: one row of `raw.events`."""

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
    clock_skew_ms: int = 0
    """What was added to the client's time to get `occurred_at`."""
    warnings: tuple[str, ...] = ()
    """Codes of what the sender should look at."""
    ip: str = ""
    """Without its last part, or empty."""
    country: str = ""
    user_agent: str = ""
    device_type: str = ""
    os_name: str = ""
    os_version: str = ""
    browser_name: str = ""
    browser_version: str = ""
    is_bot: bool = False


class RejectedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that was not accepted: one row of `raw.rejected_events`."""

    rejection_id: str
    event_id: str
    """The client's, or one made now: the event keeps it when it is replayed."""
    event_name: str
    code: str
    field: str
    message: str
    payload: str
    is_complete: bool
    """Whether `payload` is all of it."""
    rejected_by: str
    """`api` or `warehouse`."""
    source: str
    received_at: datetime


class QuarantineReplay(msgspec.Struct, frozen=True, gc=False):
    """An attempt to take in a rejected event after all: one row of `raw.quarantine_replays`."""

    replay_id: str
    rejection_id: str
    event_id: str
    outcome: str
    """`accepted` or `rejected`."""
    code: str
    message: str
    requested_by: str
    replayed_at: datetime


class DefinitionChange(msgspec.Struct, frozen=True, gc=False):
    """A change of a flag or a segment: one row of `raw.definition_changes`."""

    change_id: str
    kind: str
    key: str
    version: int
    """Of the definition from then on."""
    action: str
    """`created`, `updated`, `deleted`, `reverted`, `restored` or `scheduled`."""
    actor: str
    comment: str
    before: str
    """JSON; empty when there was none."""
    after: str
    """JSON; empty when it was deleted."""
    changed_at: datetime


class FlagEvaluationCount(msgspec.Struct, frozen=True, gc=False):
    """How often one API process gave one answer within some seconds: one row of `raw.flag_evaluations`."""

    count_id: str
    flag_key: str
    version: int
    variant: str
    answer: str
    """The value as JSON, its beginning when it is long."""
    reason: str
    evaluation_count: int
    first_at: datetime
    last_at: datetime
