"""The rules of orders and subscriptions, told a second time in plain Python, from the events that count."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Deed:
    """An event of an order or a subscription, under the person that it belongs to."""

    event_id: str
    name: str
    visitor: str
    occurred_at: datetime
    subject: str
    """Order or subscription."""
    amount: Decimal | None
    currency: str
    product: str = ""
    listed: tuple[tuple[str, Decimal], ...] = ()
    """Products and their amounts, where the event lists them."""
    country: str = ""

    def shares(self) -> list[tuple[str, Decimal]]:
        """What each product has of the amount; what the listed ones do not account for is no product's."""
        amount = abs(self.amount or Decimal(0)) if self.name == "refund" else self.amount or Decimal(0)
        rest = amount - sum(price for _, price in self.listed)
        return [*self.listed, *([("", rest)] if rest else [])] if self.listed else [(self.product, amount)]

    @property
    def order(self) -> tuple[datetime, str]:
        return self.occurred_at, self.event_id


@dataclass(frozen=True, slots=True)
class Order:
    """An order with all that became of it."""

    first_line: Deed
    number: int
    first_date: date
    gross: Decimal
    refunds: Decimal

    @property
    def customer_kind(self) -> str:
        return "new" if self.number == 1 else "returning"


def orders_of(deeds: Iterable[Deed]) -> dict[tuple[str, str], Order]:
    """The orders by id and currency: dated and owned by the first sale line, numbered for each customer."""
    lines = defaultdict(list)
    for deed in deeds:
        if deed.name in ("purchase", "refund"):
            lines[deed.subject, deed.currency].append(deed)
    firsts = {
        key: min((line for line in group if line.name == "purchase"), key=lambda line: line.order)
        for key, group in lines.items()
        if any(line.name == "purchase" for line in group)
    }
    orders: dict[tuple[str, str], Order] = {}
    numbers: dict[str, int] = defaultdict(int)
    since: dict[str, date] = {}
    for key in sorted(firsts, key=lambda key: (firsts[key].occurred_at, key)):
        first = firsts[key]
        numbers[first.visitor] += 1
        orders[key] = Order(
            first,
            numbers[first.visitor],
            since.setdefault(first.visitor, first.occurred_at.date()),
            sum((line.amount or Decimal(0) for line in lines[key] if line.name == "purchase"), Decimal(0)),
            sum((abs(line.amount or Decimal(0)) for line in lines[key] if line.name == "refund"), Decimal(0)),
        )
    return orders


def revenue_by_dimension(deeds: Iterable[Deed]) -> dict[tuple[date, str, str, str], tuple[int, Decimal, Decimal]]:
    """Orders, sales and refunds by day, dimension (product, country, customer_kind), value and currency."""
    deeds = list(deeds)
    orders = orders_of(deeds)
    sums: dict[tuple[date, str, str, str], tuple[set[str], Decimal, Decimal]] = {}
    for deed in deeds:
        if deed.name not in ("purchase", "refund"):
            continue
        order, day = orders.get((deed.subject, deed.currency)), deed.occurred_at.date()
        country, kind = (order.first_line.country, order.customer_kind) if order else ("", "")
        whole = sum((amount for _, amount in deed.shares()), Decimal(0))
        shares = [("product", product, amount) for product, amount in deed.shares()]
        for dimension, value, amount in (*shares, ("country", country, whole), ("customer_kind", kind, whole)):
            key = (day, dimension, value, deed.currency)
            begun, sales, refunds = sums.get(key, (set(), Decimal(0), Decimal(0)))
            if deed.name == "refund":
                sums[key] = begun, sales, refunds + amount
                continue
            is_begin = order is not None and order.first_line.occurred_at.date() == day
            sums[key] = begun | ({deed.subject} if is_begin else set()), sales + amount, refunds
    return {key: (len(begun), sales, refunds) for key, (begun, sales, refunds) in sums.items()}


def mrr_movements(deeds: Iterable[Deed]) -> Iterator[tuple[str, str, str, Decimal]]:
    """Event id, kind, currency and amount of every change of the monthly recurring revenue."""
    stories = defaultdict(list)
    for deed in deeds:
        if deed.name.startswith("subscription_"):
            stories[deed.subject or deed.visitor].append(deed)
    for story in stories.values():
        price, currency, before, was_paid = Decimal(0), "USD", Decimal(0), False
        for deed in sorted(story, key=lambda deed: deed.order):
            old_currency, is_over = currency, deed.name == "subscription_cancelled"
            if deed.amount is not None and not is_over:
                price, currency = max(deed.amount, Decimal(0)), deed.currency or currency
            after = Decimal(0) if is_over else price
            if not before and after:
                yield deed.event_id, "reactivation" if was_paid else "new", currency, after
            elif before and not after:
                yield deed.event_id, "churn", old_currency, -before
            elif before and currency != old_currency:
                yield deed.event_id, "contraction", old_currency, -before
                yield deed.event_id, "expansion", currency, after
            elif after != before:
                yield deed.event_id, "expansion" if after > before else "contraction", currency, after - before
            before, was_paid = after, was_paid or after > 0
