"""Marts of sales and refunds by day."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from tests.dbt.oracle.history import History
from tests.dbt.oracle.orders import in_reporting_currency, orders, session_of, total
from tests.dbt.oracle.sessions import channel
from tests.dbt.oracle.staging import Event


class RevenueDay(NamedTuple):
    revenue_date: date
    currency: str
    order_count: int
    gross_revenue_amount: Decimal
    refund_amount: Decimal
    net_revenue_amount: Decimal
    refund_count: int
    buyer_count: int
    average_order_amount: float | None
    tax_amount: Decimal
    shipping_amount: Decimal
    arpu_amount: float
    arppu_amount: float | None
    reporting_gross_revenue_amount: Decimal | None
    reporting_refund_amount: Decimal | None
    reporting_net_revenue_amount: Decimal | None


class DimensionDay(NamedTuple):
    revenue_date: date
    dimension: str
    dimension_value: str
    currency: str
    order_count: int
    buyer_count: int
    quantity: Decimal
    gross_revenue_amount: Decimal
    refund_amount: Decimal
    net_revenue_amount: Decimal
    reporting_gross_revenue_amount: Decimal | None
    reporting_refund_amount: Decimal | None
    reporting_net_revenue_amount: Decimal | None


def revenue_daily(history: History) -> Iterator[RevenueDay]:
    days = defaultdict(list)
    for event in history.events:
        if event.revenue_kind:
            days[event.day, event.currency].append(event)
    for (day, currency), lines in days.items():
        sales, refunds = split(lines)
        gross, given_back = total(sales), total(refunds)
        orders_of_day, buyers = first_day_orders(sales, history), {sale.visitor_id for sale in sales}
        visitors = {event.visitor_id for event in history.events_by_day[day]}
        yield RevenueDay(
            revenue_date=day,
            currency=currency,
            order_count=len(orders_of_day),
            gross_revenue_amount=gross,
            refund_amount=given_back,
            net_revenue_amount=gross - given_back,
            refund_count=len({refund.order_id for refund in refunds}),
            buyer_count=len(buyers),
            average_order_amount=float(gross) / len(orders_of_day) if orders_of_day else None,
            tax_amount=sum((sale.tax for sale in sales), Decimal(0)),
            shipping_amount=sum((sale.shipping for sale in sales), Decimal(0)),
            arpu_amount=float(gross) / len(visitors),
            arppu_amount=float(gross) / len(buyers) if buyers else None,
            **_reported(gross, given_back, currency, history),
        )


def revenue_by_dimension_daily(history: History) -> Iterator[DimensionDay]:
    slices = defaultdict(list)
    for event in history.events:
        if event.revenue_kind:
            for dimension in _dimensions(event, history):
                slices[event.day, *dimension, event.currency].append(event)
    for key, lines in slices.items():
        sales, refunds = split(lines)
        gross, given_back = total(sales), total(refunds)
        yield DimensionDay(
            *key,
            order_count=len(first_day_orders(sales, history)),
            buyer_count=len({sale.visitor_id for sale in sales}),
            quantity=sum((sale.quantity for sale in sales), Decimal(0)),
            gross_revenue_amount=gross,
            refund_amount=given_back,
            net_revenue_amount=gross - given_back,
            **_reported(gross, given_back, key[-1], history),
        )


def split(lines: Iterable[Event]) -> tuple[list[Event], list[Event]]:
    """Sales and refunds."""
    sales, refunds = [], []
    for line in lines:
        (sales if line.revenue_kind == "sale" else refunds).append(line)
    return sales, refunds


def first_day_orders(sales: Sequence[Event], history: History) -> set[str]:
    """An order whose lines lie on several days counts on the first of them."""
    placed = orders(history)
    return {sale.order_id for sale in sales if placed[sale.order_id, sale.currency].first.day == sale.day}


def _dimensions(line: Event, history: History) -> Iterator[tuple[str, str]]:
    """A refund counts where its order does."""
    order = orders(history).get((line.order_id, line.currency))
    yield "product", line.product_id
    yield "channel", channel(session_of(order, history).origin, history.declared) if order else ""
    yield "country", order.first.country if order else ""
    yield "customer_kind", order.customer_kind if order else ""


def _reported(gross: Decimal, refunds: Decimal, currency: str, history: History) -> dict[str, Decimal | None]:
    return {
        "reporting_gross_revenue_amount": in_reporting_currency(gross, currency, history),
        "reporting_refund_amount": in_reporting_currency(refunds, currency, history),
        "reporting_net_revenue_amount": in_reporting_currency(gross - refunds, currency, history),
    }
