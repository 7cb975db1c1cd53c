"""Random events of a few visitors around the end of a month, to hit every edge of the rules of sessions and persons."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import FRESHNESS_PROBE

START = datetime(2026, 1, 31, 20, tzinfo=UTC)
GAPS = (0, 0, 600, 1799.999, 1800, 1800.001, 3600, 86_400, 86_400.001)
USERS = ("ann", "bob", "cat", "dan", "eve", "fay")
DEVICES = ("phone", "tablet", "desk", "watch", "ann")
"""A careless client uses a user id as an anonymous id."""
NAMES = ("page_view", "page_view", "add_to_cart", "purchase", "refund", "other")
ADDRESSES = ("https://shop.example/a", "https://www.shop.example/b?utm_source=google&utm_medium=cpc", "/c")
REFERRERS = ("", "https://www.google.com/", "https://shop.example/a", "https://blog.example/")
COLUMNS = (
    "event_id",
    "event_name",
    "event_type",
    "user_id",
    "anonymous_id",
    "session_id",
    "occurred_at",
    "received_at",
    "properties",
    "source",
    "is_bot",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a client sends it; `sender` is the user id and the anonymous id, one of which may be empty."""

    event_id: str
    event_name: str
    sender: tuple[str, str]
    session_id: str
    occurred_at: datetime
    properties: str
    is_bot: bool

    def row(self) -> list[Any]:
        event_type = "page_view" if self.event_name == "page_view" else "user_action"
        return [
            *(self.event_id, self.event_name, event_type, *self.sender, self.session_id),
            *(self.occurred_at, START + timedelta(days=60), self.properties, "web", self.is_bot),
        ]


class Shop:
    """What a few visitors did, told in batches: late, repeated, and contradicting an earlier event of the same id.

    They use several devices and borrow each other's, sign up late, and take new ids, also in circles.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._told: list[Event] = []

    def batch(self, size: int) -> list[Event]:
        news = [self._event(len(self._told) + number) for number in range(size)]
        again = [self._contradicted(event) for event in self._chosen([*self._told, *news], size // 5 + 1)]
        events = [*news, *again]
        self._random.shuffle(events)
        self._told += events
        return events

    def _event(self, number: int) -> Event:
        chance = self._random
        sender = self._sender()
        mine = [event for event in self._told if event.sender == sender]
        if mine and chance.random() < 0.75:
            moment = chance.choice(mine).occurred_at + timedelta(seconds=chance.choice((1, -1)) * chance.choice(GAPS))
        else:
            moment = START + timedelta(hours=chance.uniform(-6, 6) * chance.choice((1, 1, 8, 24, 150)))
        whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        name, properties = self._deed()
        client_session = chance.choice(("", "", "c1", "c2"))
        return Event(f"e{number}", name, sender, client_session, whole, json.dumps(properties), chance.random() < 0.04)

    def _sender(self) -> tuple[str, str]:
        user, device = self._random.choice(USERS), self._random.choice(DEVICES)
        return self._random.choices(((user, ""), ("", device), (user, device)), (5, 5, 2))[0]

    def _deed(self) -> tuple[str, dict[str, Any]]:
        chance = self._random
        if chance.random() < 0.08:
            return "alias", {"previousId": chance.choice((*USERS, *DEVICES))}
        if chance.random() < 0.02:
            return FRESHNESS_PROBE, {}
        name = chance.choice(NAMES)
        properties: dict[str, Any] = {"url": chance.choice(ADDRESSES), "referrer": chance.choice(REFERRERS)}
        if name in ("purchase", "refund"):
            properties |= {
                "revenue": chance.choice((1.5, "2.25", 19.99, "not a number")),
                "currency": chance.choice(("EUR", "")),
                "order_id": chance.choice((f"o{chance.randint(1, 15)}", "")),
            }
        return name, properties

    def _chosen(self, events: Sequence[Event], count: int) -> list[Event]:
        return self._random.sample(events, min(count, len(events)))

    def _contradicted(self, event: Event) -> Event:
        if self._random.random() < 0.4:
            return event
        shift = timedelta(hours=self._random.choice((-30, -1, 1, 30)))
        return replace(event, occurred_at=event.occurred_at + shift, sender=self._sender())


def store(client: Client, settings: WarehouseSettings, events: Iterable[Event]) -> None:
    """Insert the events as one batch of arrivals."""
    rows = [event.row() for event in events]
    client.insert("events", rows, column_names=COLUMNS, database=settings.database("raw"))
