"""A made-up shop: what a day of it sends is a function of the date and the volume alone, down to each event id."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

CURRENCY = "USD"
EVENTS_A_VISIT = 4.1
"""Measured over many days; turns a wished number of events into a number of visits."""
NEW_VISITOR_SHARE = 0.55
WEEKDAY_FACTORS = (1.0, 1.02, 1.03, 1.06, 1.1, 0.92, 0.87)
HOUR_WEIGHTS = (2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 9, 10, 9, 8, 8, 8, 9, 11, 13, 14, 12, 8, 4)
LATE_SHARE, DUPLICATE_SHARE, BOT_SHARE, REFUND_SHARE = 0.02, 0.005, 0.004, 0.05
BOUNCE_RATE, CART_RATE, CHECKOUT_RATE, PURCHASE_RATE = 0.36, 0.17, 0.58, 0.62
LONG_PAUSE_RATE = 0.02
MILLISECONDS_A_DAY = 86_400_000

CAMPAIGNS = (
    ("direct", "none", "", 34),
    ("google", "organic", "", 28),
    ("google", "cpc", "brand", 12),
    ("newsletter", "email", "weekly", 10),
    ("instagram", "social", "autumn_looks", 9),
    ("partner", "referral", "coupon", 7),
)
DEVICES = (
    ("desktop", "Windows", "Chrome", 30),
    ("desktop", "macOS", "Safari", 14),
    ("mobile", "iOS", "Safari", 28),
    ("mobile", "Android", "Chrome", 24),
    ("tablet", "iPadOS", "Safari", 4),
)
COUNTRIES = (("US", 55), ("GB", 14), ("DE", 12), ("FR", 8), ("CA", 7), ("JP", 4))
CATEGORIES = ("shoes", "jackets", "bags", "shirts", "sports", "outlet")
LANDING_PAGES = (("/", 45), ("/c/shoes", 20), ("/c/outlet", 15), ("/blog/how-to-choose-boots", 12), ("/gifts", 8))
PRODUCT_COUNT = 240


class ShopEvent(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """One event in the words of `POST /api/analytics/track`; `timestamp` is in milliseconds since 1970."""

    event_id: str
    event_name: str
    timestamp: int
    anonymous_id: str
    properties: dict[str, Any]
    context: dict[str, Any]
    user_id: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """How much to make."""

    day_count: int = 30
    event_count: int = 200_000

    @property
    def events_per_day(self) -> int:
        """Wished number of events of an average day."""
        return max(1, self.event_count // self.day_count)

    def first_day(self, today: date) -> date:
        """First day of the history that ends today."""
        return today - timedelta(days=self.day_count - 1)


def shop_day(day: date, events_per_day: int) -> list[ShopEvent]:
    """Return every event of the visits that begin on this UTC day, oldest first.

    A visit may go on after midnight, and a refund follows its order by days: some events are dated later than `day`.
    The caller leaves out what lies in the future. Events that a client sends twice are listed once.
    """
    # Random on purpose and repeatable on purpose: nothing here is a secret.
    chance = random.Random(f"{day}/{events_per_day}")  # noqa: S311
    starts = sorted(_start_of_visit(chance) for _ in range(_visit_count(day, events_per_day)))
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    label = {"day": day.isoformat(), "eventsPerDay": events_per_day}
    events: list[ShopEvent] = []
    signed_up: set[str] = set()
    for number, start in enumerate(starts):
        visitor = _visitor(chance, day, events_per_day)
        visit = _Visit(chance, visitor, midnight + start, f"{day}/{events_per_day}/{number}", label)
        events.extend(visit.bot_events() if chance.random() < BOT_SHARE else visit.events(signed_up))
    return sorted(events, key=lambda event: event.timestamp)


def is_late(event: ShopEvent) -> bool:
    """Whether the client was offline and sends this event only when a day has passed."""
    return _share_of(event.event_id, "late") < LATE_SHARE


def is_sent_twice(event: ShopEvent) -> bool:
    """Whether the client did not hear the first answer and sends this event again."""
    return _share_of(event.event_id, "twice") < DUPLICATE_SHARE


@dataclass(frozen=True, slots=True)
class _Visitor:
    name: str
    days_since_first_visit: int
    signs_up_after_days: int


class _Visit:
    """Writes down one visit, step by step, with a clock that runs."""

    def __init__(
        self, chance: random.Random, visitor: _Visitor, started_at: int, visit_id: str, label: dict[str, Any]
    ) -> None:
        self._chance = chance
        self._visitor = visitor
        self._clock = started_at
        self._visit_id = visit_id
        source, medium, campaign, _ = _pick(chance, CAMPAIGNS)
        device, system, browser, _ = _pick(chance, DEVICES)
        country, _ = _pick(chance, COUNTRIES)
        # Apps and older pages do not number their sessions: the warehouse finds those by the pauses.
        self._session_id = f"session-{_digest(visit_id)[:16]}" if chance.random() < 0.6 else ""
        self._known = visitor.days_since_first_visit > visitor.signs_up_after_days
        self._campaign = {"utmSource": source, "utmMedium": medium, "utmCampaign": campaign}
        self._context = {"device": device, "os": system, "browser": browser, "country": country, "demo": label}
        self._written: list[ShopEvent] = []

    def events(self, signed_up: set[str]) -> list[ShopEvent]:
        """A person's visit: a landing page, then maybe products, a cart, an order."""
        chance, visitor = self._chance, self._visitor
        self._known = self._known or visitor.name in signed_up
        page, _ = _pick(chance, LANDING_PAGES)
        self._write("page_view", {"page": page, **self._campaign})
        if chance.random() < BOUNCE_RATE:
            return self._written
        for _ in range(1 + int(chance.expovariate(0.42))):
            self._look_around()
        if not self._known and visitor.days_since_first_visit == visitor.signs_up_after_days:
            self._known = True
            signed_up.add(visitor.name)
            self._write("signup", {"method": chance.choice(("email", "google", "apple"))})
        if chance.random() < CART_RATE:
            self._shop()
        return self._written

    def bot_events(self) -> list[ShopEvent]:
        """A crawler's visit: every product page at an even pace."""
        self._context |= {"device": "bot", "browser": "crawler/2.1"}
        for number in range(self._chance.randint(25, 60)):
            self._clock += 1500
            self._write("page_view", {"page": f"/p/{number}"}, pause=False)
        return self._written

    def _look_around(self) -> None:
        chance = self._chance
        kind = chance.random()
        if kind < 0.18:
            self._write("search", {"query": chance.choice(CATEGORIES), "resultCount": chance.randint(0, 60)})
        elif kind < 0.3:
            self._write("button_click", {"button": chance.choice(("filter", "size_guide", "newsletter", "wishlist"))})
        elif kind < 0.55:
            self._write("page_view", {"page": f"/c/{chance.choice(CATEGORIES)}"})
        else:
            product = chance.randrange(PRODUCT_COUNT)
            self._write("page_view", {"page": f"/p/{product}"})
            self._write("product_view", _product(product))

    def _shop(self) -> None:
        chance = self._chance
        products = [chance.randrange(PRODUCT_COUNT) for _ in range(1 + int(chance.expovariate(1.3)))]
        for product in products:
            self._write("add_to_cart", _product(product) | {"quantity": 1})
        if chance.random() > CHECKOUT_RATE:
            return
        self._write("checkout_started", {"itemCount": len(products)})
        if chance.random() > PURCHASE_RATE:
            return
        order = f"order-{_digest(self._visit_id)[16:28]}"
        cents = sum(price_cents(product) for product in products)
        money = {"order_id": order, "currency": CURRENCY, "revenue": cents / 100}
        self._write("purchase", money | {"itemCount": len(products), **self._campaign})
        if chance.random() < REFUND_SHARE:
            # The back office books it: days later, without the visitor's session.
            self._session_id = ""
            self._clock += chance.randint(1, 6) * MILLISECONDS_A_DAY
            self._write("refund", money | {"reason": chance.choice(("size", "damaged", "late"))})

    def _write(self, name: str, properties: dict[str, Any], *, pause: bool = True) -> None:
        if pause and self._written:
            self._clock += self._pause_milliseconds()
        self._written.append(
            ShopEvent(
                event_id=_event_id(self._visit_id, len(self._written)),
                event_name=name,
                timestamp=self._clock,
                anonymous_id=f"visitor-{self._visitor.name}",
                user_id=f"user-{self._visitor.name}" if self._known else "",
                session_id=self._session_id,
                properties=properties,
                context=self._context,
            )
        )

    def _pause_milliseconds(self) -> int:
        if self._chance.random() < LONG_PAUSE_RATE:
            # About as often short of half an hour as beyond it, now and then exactly half an hour.
            return self._chance.choice((1_560_000, 1_800_000, 1_800_001, 2_280_000))
        return int(self._chance.lognormvariate(9.9, 0.9))


def price_cents(product: int) -> int:
    """Price of a product in cents."""
    return 990 + (product * 7919) % 17_000 // 100 * 100


def _product(number: int) -> dict[str, Any]:
    category = CATEGORIES[number % len(CATEGORIES)]
    return {"productId": f"p-{number}", "category": category, "price": price_cents(number) / 100}


def _visit_count(day: date, events_per_day: int) -> int:
    return max(1, round(events_per_day / EVENTS_A_VISIT * WEEKDAY_FACTORS[day.weekday()]))


def _visitor(chance: random.Random, day: date, events_per_day: int) -> _Visitor:
    age = 0 if chance.random() < NEW_VISITOR_SHARE else 1 + int(chance.expovariate(0.12))
    first_day = day - timedelta(days=age)
    number = chance.randrange(max(1, round(_visit_count(first_day, events_per_day) * NEW_VISITOR_SHARE)))
    name = f"{first_day:%y%m%d}-{events_per_day}-{number}"
    share = _share_of(name, "signup")
    return _Visitor(name, age, signs_up_after_days=0 if share < 0.08 else int(share * 14) if share < 0.3 else 10_000)


def _start_of_visit(chance: random.Random) -> int:
    (hour,) = chance.choices(range(24), HOUR_WEIGHTS)
    return hour * 3_600_000 + chance.randrange(3_600_000)


def _pick(chance: random.Random, weighted: tuple[Any, ...]) -> Any:
    return chance.choices(weighted, [entry[-1] for entry in weighted])[0]


def _event_id(visit_id: str, number: int) -> str:
    digest = _digest(f"{visit_id}/{number}")
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _share_of(text: str, purpose: str) -> float:
    """A number in [0, 1) that is always the same for the same text."""
    return int(_digest(f"{purpose}/{text}")[:8], 16) / 0x1_0000_0000


def batches(events: list[ShopEvent], size: int) -> Iterator[list[ShopEvent]]:
    """Cut a list into lists of at most `size`."""
    for start in range(0, len(events), size):
        yield events[start : start + size]
