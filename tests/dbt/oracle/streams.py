"""Streams of events that hit every edge of the rules, drawn by hypothesis.

A stream is what a few visitors of a shop did around one midnight. It shares its days with other streams, so that
hundreds of them are built together, but no id and no currency, so that most differences name the stream they come from.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import mul
from typing import Any, TypeAlias

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from warehouse.raw_events import FRESHNESS_PROBE

Drawn: TypeAlias = dict[str, Any]

BATCHES = 4
OURS = "~"
"""Begins every name of a stream, until its number is known."""

MIDNIGHTS = tuple(
    datetime.fromisoformat(day).replace(tzinfo=UTC)
    for day in (
        *("2024-02-29", "2024-03-01"),
        *("2024-03-10", "2024-03-31", "2024-10-27", "2024-11-03"),  # clocks change in America and in Europe
        *("2024-12-30", "2025-01-01"),  # week 1 begins two days before its year
        "2024-07-01",
    )
)
GAPS = tuple(
    timedelta(seconds=gap)
    for gap in (0, 0, 0, 0.001, 9.999, 10, 600, 1_799.999, 1_800, 1_800.001, 86_400, 86_400.001, 604_800)
)
WRONG_CLOCKS = {
    "slow clock": datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC),
    "fast clock": datetime(2026, 1, 1, tzinfo=UTC),
}
USERS = (f"{OURS}ann", f"{OURS}bob", f"{OURS}cat", f"{OURS}dan")
DEVICES = (f"{OURS}phone", f"{OURS}tablet", f"{OURS}ann", "Anonymous")
"""A careless client uses a user id as an anonymous id, another one the same id for everybody."""
NAMES = (
    *("page_view", "page_view", "page_view", "add_to_cart", "add_to_cart", "purchase", "purchase", "order_completed"),
    *("refund", "refund", "signup", "identify", "alias", "other"),
)
MONEY = ("purchase", "order_completed", "refund")
ADDRESSES = (
    *("https://shop.example/a", "/c", ""),
    "https://www.shop.example/b?utm_source=google&utm_medium=cpc&utm_campaign=spring",
    "https://shop.example/d?gclid=x1",
    "https://shop.example/e?utm_source=letter&utm_medium=email",
)
REFERRERS = (
    "",
    "",
    "https://www.google.com/",
    "https://shop.example/a",
    "https://blog.example/",
    "https://m.facebook.com/",
)
AMOUNTS = (1.5, "2.25", 19.99, 10, -3, 0.00005, 12345678901.1234, "1e2", "not a number")
TRAITS = ({"email": "a@b.example", "plan": "free"}, {"email": None, "plan": "pro", "$os": "x"}, {"name": "A. B."})
CONTEXTS = ({}, {"country": "FR", "os": {"name": "iOS"}, "device": "tablet", "browser": "Safari"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it comes in: a row of raw.events and the batch that brings it."""

    batch: int
    rank: int
    """Of two in one batch the lesser comes first."""
    event_id: str
    event_name: str
    user_id: str
    anonymous_id: str
    session_id: str
    occurred_at: datetime
    properties: str
    context: str
    device_type: str
    country: str
    is_bot: bool
    received_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def of_stream(self, number: int) -> "Arrival":
        names = ("event_id", "user_id", "anonymous_id", "properties")
        return replace(self, **{name: getattr(self, name).replace(OURS, prefix(number)) for name in names})

    def row(self) -> dict[str, Any]:
        columns = {name: getattr(self, name) for name in self.__slots__ if name not in ("batch", "rank")}
        event_type = "page_view" if self.event_name == "page_view" else "user_action"
        return {**columns, "event_type": event_type, "source": "web"}


_MOMENTS = st.one_of(
    # After or before an earlier event of the stream.
    *[st.tuples(st.integers(0, 1000), st.builds(mul, st.sampled_from(GAPS), st.sampled_from((1, -1))))] * 2,
    # Around the midnight.
    st.builds(mul, st.builds(timedelta, minutes=st.integers(-360, 360)), st.sampled_from((0, 1, 1, 8, 24, 150))),
)
_SENDERS = st.tuples(
    st.sampled_from(USERS), st.sampled_from(DEVICES), st.sampled_from(("user", "user", "device", "device", "both"))
)
_PROPERTIES = st.fixed_dictionaries(
    {
        "url": st.sampled_from(ADDRESSES),
        "referrer": st.sampled_from(REFERRERS),
        "revenue": st.sampled_from(AMOUNTS),
        "currency": st.sampled_from((f"{OURS}eur", f" {OURS}EUR", "", "EUR")),
        "tax": st.sampled_from((None, 0.25)),
        "shipping": st.sampled_from(("4.90", 0)),
        "product_id": st.sampled_from(("p1", "p2", "")),
        "quantity": st.sampled_from((1, "2.5", None)),
        "order_id": st.sampled_from((f"{OURS}o1", f"{OURS}o2", f"{OURS}o3", "")),
        "previousId": st.sampled_from((*USERS, *DEVICES)),
        "traits": st.sampled_from(TRAITS),
    }
)
_DEEDS = st.fixed_dictionaries(
    {
        "batch": st.integers(0, BATCHES - 1),
        "rank": st.integers(0, 1000),
        "event_name": st.sampled_from(NAMES),
        "sender": _SENDERS,
        "session_id": st.sampled_from(("", "", "", "c1", "c2")),
        "moment": _MOMENTS,
        "properties": _PROPERTIES,
        "context": st.sampled_from(CONTEXTS),
        "device_type": st.sampled_from(("desktop", "mobile", "other", "")),
        "country": st.sampled_from(("DE", "")),
        "oddity": st.sampled_from((*["none"] * 36, "bot", "probe", "slow clock", "fast clock")),
    }
)
_REPETITIONS = st.fixed_dictionaries(
    {
        "batch": st.integers(0, BATCHES - 1),
        "rank": st.integers(0, 1000),
        "of": st.integers(0, 1000),
        "sender": st.none() | _SENDERS,
        "hours": st.sampled_from((0, -30, -1, 1, 30)),
    }
)
"""The same event once more; it may contradict itself."""
_STREAMS = st.tuples(
    st.sampled_from(MIDNIGHTS),
    st.lists(_DEEDS, min_size=20, max_size=40),
    st.lists(_REPETITIONS, max_size=8),
)


def _arrivals(midnight: datetime, deeds: list[Drawn], repetitions: list[Drawn]) -> list[Arrival]:
    told: list[Arrival] = []
    for deed in deeds:
        told.append(_arrival(deed, f"{OURS}e{len(told)}", _moment(deed, midnight, told)))
    for again in repetitions:
        original = told[again["of"] % len(deeds)]
        sender = _sender(again["sender"]) if again["sender"] else {}
        moment = original.occurred_at + timedelta(hours=again["hours"])
        told.append(replace(original, batch=again["batch"], rank=again["rank"], occurred_at=moment, **sender))
    # No two of a stream at the same time: which of several with one id comes first is then said by the rules.
    received_at = midnight + timedelta(days=60)
    return [
        replace(arrival, received_at=received_at + timedelta(milliseconds=number))
        for number, arrival in enumerate(sorted(told, key=lambda arrival: arrival.rank))
    ]


def _arrival(deed: Drawn, event_id: str, moment: datetime) -> Arrival:
    said, name = deed["properties"], deed["event_name"] if deed["oddity"] != "probe" else FRESHNESS_PROBE
    names = {
        "alias": ("previousId",),
        "identify": ("traits", "url"),
        **dict.fromkeys(MONEY, tuple(name for name in said if name not in ("previousId", "traits"))),
    }
    return Arrival(
        **{column: deed[column] for column in ("batch", "rank", "session_id", "device_type", "country")},
        **_sender(deed["sender"]),
        event_id=event_id,
        event_name=name,
        occurred_at=moment,
        properties=json.dumps({member: said[member] for member in names.get(name, ("url", "referrer"))}),
        context=json.dumps(deed["context"]),
        is_bot=deed["oddity"] == "bot",
    )


def _sender(drawn: tuple[str, str, str]) -> dict[str, str]:
    user, device, who = drawn
    return {"user_id": "" if who == "device" else user, "anonymous_id": "" if who == "user" else device}


def _moment(deed: Drawn, midnight: datetime, told: list[Arrival]) -> datetime:
    if deed["oddity"] in WRONG_CLOCKS:
        return WRONG_CLOCKS[deed["oddity"]]
    if isinstance(deed["moment"], timedelta):
        return midnight + deed["moment"]
    earlier, gap = deed["moment"]
    return (told[earlier % len(told)].occurred_at if told else midnight) + gap


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams that a seed gives."""

    seed: int
    arrivals: list[list[Arrival]]


def _longest_visit(number: int) -> list[Arrival]:
    """A client session with a silence that is just short enough: too rare to be drawn each time."""
    seen = Arrival(
        batch=0,
        rank=0,
        event_id=f"{OURS}e0",
        event_name="page_view",
        user_id=USERS[0],
        anonymous_id="",
        session_id="c1",
        occurred_at=MIDNIGHTS[0],
        properties="{}",
        context="{}",
        device_type="desktop",
        country="DE",
        is_bot=False,
        received_at=MIDNIGHTS[0] + timedelta(days=60),
    )
    again = replace(seen, batch=1, event_id=f"{OURS}e1", occurred_at=seen.occurred_at + timedelta(seconds=86_400))
    return [seen.of_stream(number), again.of_stream(number)]


def drawn_streams(count: int, of_seed: int) -> Streams:
    """Streams of this seed. Hypothesis also draws constants of the modules that are loaded: others with other tests."""
    streams = Streams(of_seed, [])

    @seed(of_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_STREAMS)
    def draw(stream: tuple[datetime, list[Drawn], list[Drawn]]) -> None:
        number = len(streams.arrivals)
        streams.arrivals.append([arrival.of_stream(number) for arrival in _arrivals(*stream)])

    draw()
    streams.arrivals.append(_longest_visit(count))
    return streams


def prefix(number: int) -> str:
    return f"s{number:03}-"


def described(stream: list[Arrival]) -> Iterator[str]:
    """A line for each arrival of a stream, in their order."""
    for arrival in sorted(stream, key=lambda arrival: (arrival.batch, arrival.received_at)):
        who = arrival.user_id or "-", arrival.anonymous_id or "-", arrival.session_id or "-"
        bot = " bot" if arrival.is_bot else ""
        yield (
            f"batch {arrival.batch}  {arrival.occurred_at:%Y-%m-%d %H:%M:%S.%f} {arrival.event_id} {' '.join(who)} "
            f"{arrival.event_name}{bot} {arrival.properties}"
        )
