"""What the marts must say about the demo's events, computed from the events themselves in plain Python."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from local_stack.demo_data import ShopEvent

SESSION_GAP_MILLISECONDS = 1_800_000
CLIENT_SESSION_GAP_MILLISECONDS = 86_400_000


@dataclass(frozen=True, slots=True)
class ShopTotals:
    """Headline numbers of a set of events; amounts are in the shop's currency."""

    events: int
    visitors: int
    sessions: int
    orders: int
    gross_revenue: Decimal
    refunds: Decimal
    sessions_with_order: int

    @property
    def net_revenue(self) -> Decimal:
        """Gross revenue less refunds."""
        return self.gross_revenue - self.refunds

    @property
    def conversion_rate(self) -> float:
        """Share of sessions with an order, 0 without sessions."""
        return self.sessions_with_order / self.sessions if self.sessions else 0.0


def shop_totals(events: Iterable[ShopEvent]) -> ShopTotals:
    """Count what was sent, each event id once."""
    distinct = list({event.event_id: event for event in events}.values())
    owners = _owners(distinct)
    sessions = list(_sessions(distinct, owners))
    purchases = [event for event in distinct if event.event_name == "purchase"]
    refunds = [event for event in distinct if event.event_name == "refund"]
    return ShopTotals(
        events=len(distinct),
        visitors=len({_visitor_id(event, owners) for event in distinct}),
        sessions=len(sessions),
        orders=len({event.properties["order_id"] for event in purchases}),
        gross_revenue=_revenue(purchases),
        refunds=_revenue(refunds),
        sessions_with_order=sum(any(event.event_name == "purchase" for event in session) for session in sessions),
    )


def _sessions(events: list[ShopEvent], owners: Mapping[str, str]) -> Iterable[list[ShopEvent]]:
    """Cut each visitor's events where a pause is longer than allowed; a client's session ids are respected."""

    def stream(event: ShopEvent) -> tuple[str, str]:
        return _visitor_id(event, owners), event.session_id

    for (_, session_id), visit in groupby(sorted(events, key=lambda event: (stream(event), event.timestamp)), stream):
        gap = CLIENT_SESSION_GAP_MILLISECONDS if session_id else SESSION_GAP_MILLISECONDS
        session: list[ShopEvent] = []
        for event in visit:
            if session and event.timestamp - session[-1].timestamp > gap:
                yield session
                session = []
            session.append(event)
        yield session


def _owners(events: Iterable[ShopEvent]) -> Mapping[str, str]:
    """The user with whom each device was seen first: everything that it did without a user id is theirs as well."""
    known = sorted((event for event in events if event.user_id), key=lambda event: (event.timestamp, event.user_id))
    return {event.anonymous_id: event.user_id for event in reversed(known)}


def _visitor_id(event: ShopEvent, owners: Mapping[str, str]) -> str:
    return event.user_id or owners.get(event.anonymous_id, event.anonymous_id)


def _revenue(events: list[ShopEvent]) -> Decimal:
    return sum((Decimal(str(event.properties["revenue"])) for event in events), Decimal())
