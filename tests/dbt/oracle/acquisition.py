"""Marts of where visitors and orders came from."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple, TypeAlias

from tests.dbt.oracle.history import History
from tests.dbt.oracle.orders import orders
from tests.dbt.oracle.sessions import Session, channel

Source: TypeAlias = tuple[str, str, str]
"""Channel, traffic source and campaign."""

ONE = Decimal(1)
UNATTRIBUTED = ("Unattributed", "", "")


class Attributed(NamedTuple):
    order_date: date
    attribution_model: str
    channel: str
    traffic_source: str
    utm_campaign: str
    currency: str
    attributed_order_count: Decimal
    attributed_revenue_amount: Decimal


class Acquired(NamedTuple):
    acquisition_date: date
    channel: str
    traffic_source: str
    utm_campaign: str
    currency: str
    session_count: int
    engaged_session_count: int
    visitor_count: int
    new_visitor_count: int
    order_count: int
    revenue_amount: Decimal


def attribution_daily(history: History) -> Iterator[Attributed]:
    credited: dict[tuple[date, str, Source, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    window = timedelta(days=history.declared.variables["attribution_window_days"])
    for (_, currency), order in orders(history).items():
        ordered_at = order.first.occurred_at
        touches = [
            source_of(session, history)
            for session in history.sessions_of_visitor[order.first.visitor_id]
            if ordered_at - window <= session.started_at <= ordered_at
        ] or [UNATTRIBUTED]
        for part, whole in enumerate((ONE, order.gross)):
            for model, credits in credit_by_model(whole, touches).items():
                for touch, credit in zip(touches, credits, strict=True):
                    if credit:
                        credited[order.first.day, model, touch, currency][part] += credit
    for (day, model, source, currency), credits in credited.items():
        yield Attributed(day, model, *source, currency, *credits)


def credit_by_model(whole: Decimal, touches: Sequence[Source]) -> dict[str, list[Decimal]]:
    """What each touch gets; divisions are cut off, and the last one gets what remains of them."""
    count, nothing = len(touches), Decimal(0)
    indirect = [position for position, (channel, *_) in enumerate(touches) if channel != "Direct"]
    last = indirect[-1] if indirect else count - 1
    equal = _with_rest(whole, [_cut(whole / count)] * (count - 1))
    first_part, middle = _cut(whole * 2 / 5), _cut(_cut(whole / 5) / max(count - 2, 1))
    return {
        "first_touch": [whole if position == 0 else nothing for position in range(count)],
        "last_touch": [whole if position == last else nothing for position in range(count)],
        "linear": equal,
        "position_based": equal if count <= 2 else _with_rest(whole, [first_part, *[middle] * (count - 2)]),
    }


def acquisition_daily(history: History) -> Iterator[Acquired]:
    sessions, new = defaultdict(list), Counter[tuple[date, Source]]()
    for session in history.sessions:
        sessions[session.started_at.date(), source_of(session, history)].append(session)
    for visitor, days in history.visitor_days.items():
        first_day = min(days)
        begun = [one for one in history.sessions_of_visitor[visitor] if one.started_at.date() == first_day]
        new[first_day, source_of(begun[0], history)] += 1
    for (day, source), begun in sessions.items():
        yield Acquired(
            day,
            *source,
            currency="",
            session_count=len(begun),
            engaged_session_count=sum(session.is_engaged(history.declared) for session in begun),
            visitor_count=len({session.visitor_id for session in begun}),
            new_visitor_count=new[day, source],
            order_count=0,
            revenue_amount=Decimal(0),
        )
    for row in attribution_daily(history):
        if row.attribution_model == "last_touch":
            source = row.channel, row.traffic_source, row.utm_campaign
            count, amount = int(row.attributed_order_count), row.attributed_revenue_amount
            yield Acquired(row.order_date, *source, row.currency, 0, 0, 0, 0, count, amount)


def source_of(session: Session, history: History) -> Source:
    origin = session.origin
    return channel(origin, history.declared), origin.source, origin.utm_campaign


def _cut(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.0001"), ROUND_DOWN)


def _with_rest(whole: Decimal, parts: list[Decimal]) -> list[Decimal]:
    return [*parts, whole - sum(parts, Decimal(0))]
