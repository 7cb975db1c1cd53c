"""Random events of a few visitors around the end of a month, made to hit every edge of the session rules."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from warehouse.client import Client
from warehouse.config import WarehouseSettings

START = datetime(2026, 1, 31, 20, tzinfo=UTC)
GAPS = (0, 0, 600, 1799.999, 1800, 1800.001, 3600, 86_400, 86_400.001)
VISITORS = (("ann", ""), ("bob", ""), ("cat", ""), ("", "phone"), ("", "tablet"))
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
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a client sends it."""

    event_id: str
    event_name: str
    visitor: tuple[str, str]
    session_id: str
    occurred_at: datetime
    properties: str

    def row(self) -> list[Any]:
        event_type = "page_view" if self.event_name == "page_view" else "user_action"
        user_id, anonymous_id = self.visitor
        return [
            *(self.event_id, self.event_name, event_type, user_id, anonymous_id, self.session_id),
            *(self.occurred_at, START + timedelta(days=60), self.properties, "web"),
        ]


class Shop:
    """What a few visitors did, told in batches: late, repeated, and contradicting an earlier event of the same id."""

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
        visitor = chance.choice(VISITORS)
        mine = [event for event in self._told if event.visitor == visitor]
        if mine and chance.random() < 0.75:
            moment = chance.choice(mine).occurred_at + timedelta(seconds=chance.choice((1, -1)) * chance.choice(GAPS))
        else:
            moment = START + timedelta(hours=chance.uniform(-6, 6) * chance.choice((1, 1, 8, 24, 150)))
        name = chance.choice(("page_view", "page_view", "add_to_cart", "purchase", "refund", "other"))
        properties: dict[str, Any] = {"page": chance.choice(("/a", "/b", ""))}
        if name in ("purchase", "refund"):
            properties |= {
                "revenue": chance.choice((1.5, "2.25", 19.99, "not a number")),
                "currency": chance.choice(("EUR", "")),
                "order_id": chance.choice((f"o{chance.randint(1, 15)}", "")),
            }
        whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        client_session = chance.choice(("", "", "c1", "c2"))
        return Event(f"e{number}", name, visitor, client_session, whole, json.dumps(properties))

    def _chosen(self, events: Sequence[Event], count: int) -> list[Event]:
        return self._random.sample(events, min(count, len(events)))

    def _contradicted(self, event: Event) -> Event:
        if self._random.random() < 0.4:
            return event
        shift = timedelta(hours=self._random.choice((-30, -1, 1, 30)))
        return replace(event, occurred_at=event.occurred_at + shift, visitor=self._random.choice(VISITORS))


def store(client: Client, settings: WarehouseSettings, events: Iterable[Event]) -> None:
    """Insert the events as one batch of arrivals."""
    rows = [event.row() for event in events]
    client.insert("events", rows, column_names=COLUMNS, database=settings.database("raw"))
