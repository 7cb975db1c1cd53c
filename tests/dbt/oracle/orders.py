"""The mart of orders, and what follows from them about customers."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import NamedTuple

from tests.dbt.oracle.history import History
from tests.dbt.oracle.retention import GRANULARITIES
from tests.dbt.oracle.sessions import Session, channel
from tests.dbt.oracle.staging import Event


@dataclass(slots=True, eq=False)
class Order:
    """All lines of an order in one currency. It is dated by its first sale line and belongs to that line's visitor."""

    first: Event
    lines: list[Event] = field(default_factory=list)
    number: int = 0
    first_order_date: date = date.max

    @property
    def gross(self) -> Decimal:
        return total(line for line in self.lines if line.revenue_kind == "sale")

    @property
    def refunds(self) -> Decimal:
        return total(line for line in self.lines if line.revenue_kind == "refund")

    @property
    def customer_kind(self) -> str:
        return "new" if self.number == 1 else "returning"


class OrderRow(NamedTuple):
    order_id: str
    currency: str
    visitor_id: str
    order_date: date
    ordered_at: datetime
    order_number: int
    first_order_date: date
    customer_kind: str
    session_id: str
    channel: str
    country: str
    gross_revenue_amount: Decimal
    refund_amount: Decimal
    net_revenue_amount: Decimal


class CohortMonth(NamedTuple):
    cohort_month: date
    currency: str
    months_since: int
    customer_count: int
    buyer_count: int
    order_count: int
    gross_revenue_amount: Decimal
    net_revenue_amount: Decimal
    cumulative_net_revenue_amount: Decimal
    lifetime_value_amount: float
    reporting_cumulative_net_revenue_amount: Decimal | None


def total(lines: Iterator[Event]) -> Decimal:
    """What is given back is told as a positive amount, whatever its sign."""
    amounts = (abs(line.amount) if line.revenue_kind == "refund" else line.amount for line in lines)
    return sum(amounts, Decimal(0))


@cache
def orders(history: History) -> dict[tuple[str, str], Order]:
    """By order id and currency; those without a sale are none."""
    found: dict[tuple[str, str], Order] = {}
    for event in history.events:
        if event.revenue_kind == "sale":
            found.setdefault((event.order_id, event.currency), Order(event))
    for event in history.events:
        if event.revenue_kind and (event.order_id, event.currency) in found:
            found[event.order_id, event.currency].lines.append(event)
    customers = defaultdict(list)
    for _, order in sorted(found.items(), key=lambda item: (item[1].first.occurred_at, item[0])):
        customers[order.first.visitor_id].append(order)
    for bought in customers.values():
        for number, order in enumerate(bought, start=1):
            order.number, order.first_order_date = number, bought[0].first.day
    return found


def session_of(order: Order, history: History) -> Session:
    """The last session that began before the order is the one that it lies in."""
    first = order.first
    return [
        session
        for session in history.sessions_of_visitor[first.visitor_id]
        if session.client_session_id == first.client_session_id and session.started_at <= first.occurred_at
    ][-1]


def order_rows(history: History) -> Iterator[OrderRow]:
    for (order_id, currency), order in orders(history).items():
        session = session_of(order, history)
        yield OrderRow(
            order_id=order_id,
            currency=currency,
            visitor_id=order.first.visitor_id,
            order_date=order.first.day,
            ordered_at=order.first.occurred_at,
            order_number=order.number,
            first_order_date=order.first_order_date,
            customer_kind=order.customer_kind,
            session_id=history.session_id(session),
            channel=channel(session.origin, history.declared),
            country=order.first.country,
            gross_revenue_amount=order.gross,
            refund_amount=order.refunds,
            net_revenue_amount=order.gross - order.refunds,
        )


def customer_cohorts(history: History) -> Iterator[CohortMonth]:
    month, start = GRANULARITIES["month"]
    cohorts = defaultdict(list)
    for (_, currency), order in orders(history).items():
        cohorts[month(order.first_order_date)].append((currency, order))
    last_month = max(month(order.first.day) for order in orders(history).values())
    for cohort, bought in cohorts.items():
        customers = {order.first.visitor_id for _, order in bought}
        for currency in {currency for currency, _ in bought}:
            cumulative, reporting = Decimal(0), None
            for number in range(cohort, last_month + 1):
                placed = [one for name, one in bought if name == currency and month(one.first.day) == number]
                net = sum((order.gross - order.refunds for order in placed), Decimal(0))
                cumulative += net
                for order in placed:
                    amount = in_reporting_currency(order.gross - order.refunds, currency, history)
                    reporting = reporting if amount is None else (reporting or Decimal(0)) + amount
                yield CohortMonth(
                    cohort_month=start(cohort),
                    currency=currency,
                    months_since=number - cohort,
                    customer_count=len(customers),
                    buyer_count=len({order.first.visitor_id for order in placed}),
                    order_count=len(placed),
                    gross_revenue_amount=sum((order.gross for order in placed), Decimal(0)),
                    net_revenue_amount=net,
                    cumulative_net_revenue_amount=cumulative,
                    lifetime_value_amount=float(cumulative) / len(customers),
                    reporting_cumulative_net_revenue_amount=reporting,
                )


def in_reporting_currency(amount: Decimal, currency: str, history: History) -> Decimal | None:
    """Without a rate there is none. The seed has one rate of each currency."""
    rates = {row["currency"]: Decimal(row["rate"]) for row in history.declared.currency_rates}
    rate = Decimal(1) if currency == history.declared.variables["reporting_currency"] else rates.get(currency)
    return None if rate is None else (amount * rate).quantize(Decimal("0.0001"), ROUND_HALF_UP)
