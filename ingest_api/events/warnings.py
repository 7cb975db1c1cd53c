"""What the sender of an accepted event should look at: told in the answer, and kept with the event."""

import msgspec

from ingest_api.tracking_plan.checking import PLAN_CODES

WARNING_CODES = {
    "unknown_field": "The event has a field that this version does not know; it is kept in `context.unknownFields`.",
    "member_ignored": "A member was not used: it is not known beside `events`, or a `sentAt` that cannot be read.",
    "clock_skew_corrected": "The sender's clock is off by more than a minute by `sentAt`; the time was corrected.",
    "occurred_in_future": "The time of the event is more than a day after its arrival.",
    "occurred_long_ago": "The time of the event is more than ten years before its arrival.",
    "secret_removed": "A query parameter that holds a secret, for example `access_token`, was replaced by `REDACTED`.",
    **PLAN_CODES,
}
"""Every code of a warning."""


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something about an accepted event that its sender should look at. `code` is one of `WARNING_CODES`."""

    code: str
    field: str
    message: str
