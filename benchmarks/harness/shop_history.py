"""Days of a web shop's events, made by the engine itself and laid into `raw.events` in the order of their arrival."""

import time
from dataclasses import dataclass

from warehouse.client import Client
from warehouse.config import WarehouseSettings

EVENTS_OF_VISIT = 12
_VISITS_AT_A_TIME = 25
FUNNEL = ("page_view", "product_view", "add_to_cart", "purchase")
"""Steps that fewer and fewer visits take."""
_ROWS_PER_MILLISECOND = 1_000
"""Of arrival, which is what orders the raw table; a flush gives thousands of rows the same time of arrival."""
_EVENTS = """
INSERT INTO {raw:Identifier}.events (
    event_id, event_name, event_type, user_id, anonymous_id, occurred_at, received_at, properties, context, source,
    country, device_type, os_name, browser_name, inserted_at
)
WITH
    -- So many visits at a time: their events take turns.
    sipHash64(intDiv(number, {block:UInt32}), number % {at_a_time:UInt32}) AS visit,
    intDiv(number % {block:UInt32}, {at_a_time:UInt32}) AS step,
    if(visit % 10 = 0, visit, intDiv(visit, 10) % {visitors:UInt32}) AS visitor,
    multiIf(
        step = 7 AND visit % 3 = 0, 'add_to_cart', step = 10 AND visit % 12 = 0, 'purchase',
        step IN (1, 3, 6), 'product_view', 'page_view'
    ) AS name,
    -- One of a hundred is up to three days late.
    if(sipHash64(number) % 100 = 0, sipHash64(number, 1) % 259200000, 0) AS late_ms,
    toDateTime64('2025-01-01', 3, 'UTC') + toIntervalMillisecond(intDiv(number * 86400000, {per_day:UInt64})) AS sent_at
SELECT
    lower(hex(sipHash128(number))),
    name,
    if(name = 'page_view', 'page_view', 'user_action'),
    -- A third of the visitors are known, and say so from the third event on.
    if(visitor % 3 = 0 AND step >= 2, concat('user-', toString(visitor)), ''),
    concat('device-', toString(visitor)),
    sent_at - toIntervalMillisecond(late_ms),
    sent_at + toIntervalSecond(1),
    concat(
        '{"url":"https://shop.example/products/', toString(visit % 500),
        if(visit % 4 = 0 AND step = 0, '?utm_source=google&utm_medium=cpc', ''), '","referrer":"',
        if(step = 0, 'https://www.google.com/', 'https://shop.example/'), '","title":"Product ', toString(visit % 500),
        '","locale":"de-DE","viewport":"1280x720","productId":"', toString((visit + step) % 500), '"',
        if(name = 'purchase', concat(',"revenue":', toString(visit % 10000 / 100), ',"currency":"EUR","order_id":"o-',
        toString(visit), '"'), ''),
        '}'
    ),
    '{}',
    'web',
    ['DE', 'FR', 'US'][visit % 3 + 1],
    ['desktop', 'mobile'][visit % 2 + 1],
    ['Windows', 'iOS'][visit % 2 + 1],
    ['Chrome', 'Mobile Safari'][visit % 2 + 1],
    {arriving_from:DateTime64(3, 'UTC')} + toIntervalMillisecond(intDiv(number - {first:UInt64}, {per_ms:UInt64}))
FROM numbers({first:UInt64}, {count:UInt64})
"""


@dataclass(slots=True)
class ShopHistory:
    """What has arrived so far. Visitors come back again and again; one visit of ten is a new visitor's."""

    client: Client
    settings: WarehouseSettings
    events_per_day: int
    visitors: int
    """Those who come back."""
    events: int = 0

    def add_days(self, count: int) -> None:
        """Let the next days arrive."""
        self.add_events(count * self.events_per_day)

    def add_events(self, count: int) -> None:
        """Let the next events arrive, and wait until their time of arrival has passed and the parts are merged."""
        [(now,)] = self.client.query("SELECT now64(3, 'UTC')").result_rows
        self.client.command(
            _EVENTS,
            parameters={
                "raw": self.settings.database("raw"),
                "visitors": self.visitors,
                "at_a_time": _VISITS_AT_A_TIME,
                "block": _VISITS_AT_A_TIME * EVENTS_OF_VISIT,
                "per_day": self.events_per_day,
                "arriving_from": now,
                "first": self.events,
                "count": count,
                "per_ms": _ROWS_PER_MILLISECOND,
            },
        )
        self.events += count
        time.sleep(count / _ROWS_PER_MILLISECOND / 1000 + 0.1)
        self.settle()

    def settle(self) -> None:
        """Wait until the engine has merged what it wants to: that work belongs to no measurement."""
        quiet = 0
        while quiet < 3:
            [(merges,)] = self.client.query("SELECT count() FROM system.merges").result_rows
            quiet = 0 if merges else quiet + 1
            time.sleep(0.2)
