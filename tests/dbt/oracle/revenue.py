"""The mart of sales and refunds by day."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from tests.dbt.oracle.history import History


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


def revenue_daily(history: History) -> Iterator[RevenueDay]:
    days = defaultdict(list)
    for event in history.events:
        if event.revenue_kind:
            days[event.day, event.currency].append(event)
    for (day, currency), lines in days.items():
        sales = [line for line in lines if line.revenue_kind == "sale"]
        refunds = [line for line in lines if line.revenue_kind == "refund"]
        gross = sum((sale.amount for sale in sales), Decimal(0))
        refunded = sum((abs(refund.amount) for refund in refunds), Decimal(0))
        # An order whose lines lie on several days counts on the first of them.
        orders = {sale.order_id for sale in sales if history.order_dates[sale.order_id, currency] == day}
        yield RevenueDay(
            revenue_date=day,
            currency=currency,
            order_count=len(orders),
            gross_revenue_amount=gross,
            refund_amount=refunded,
            net_revenue_amount=gross - refunded,
            refund_count=len({refund.order_id for refund in refunds}),
            buyer_count=len({sale.visitor_id for sale in sales}),
            average_order_amount=float(gross) / len(orders) if orders else None,
        )
