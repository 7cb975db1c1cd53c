"""What the sender of an accepted event should look at: told in the answer, and kept with the event."""

import msgspec

WARNING_CODES = {
    "unknown_field": "The event has a field that this version does not know; it is kept in `context.unknownFields`.",
    "member_ignored": "A member was not used: it is not known beside `events`, or a `sentAt` that cannot be read.",
    "clock_skew_corrected": "The sender's clock is off by more than a minute by `sentAt`; the time was corrected.",
    "occurred_in_future": "The time of the event is more than a day after its arrival.",
    "occurred_long_ago": "The time of the event is more than ten years before its arrival.",
    "secret_removed": "A query parameter that holds a secret, for example `access_token`, was replaced by `REDACTED`.",
    "plan_event_unknown": "The tracking plan does not have an event of this name.",
    "plan_property_missing": "A property that the tracking plan requires is absent or null.",
    "plan_property_wrong_type": "A property has another type than the tracking plan says.",
    "plan_property_not_allowed": "A property has a value that is not among those of the tracking plan.",
    "plan_property_mismatch": "A property does not match the pattern or the range of the tracking plan.",
    "plan_property_unknown": "The event has a property that the tracking plan does not have.",
}
"""Every code of a warning."""


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something about an accepted event that its sender should look at. `code` is one of `WARNING_CODES`."""

    code: str
    field: str
    message: str
