from decimal import Decimal
from typing import Any

from local_stack.demo_data import ShopEvent
from local_stack.demo_totals import ShopTotals, shop_totals

SECOND = 1000


def event(
    number: int, name: str, second: int, user: str = "", session: str = "", device: str = "a1", **properties: Any
) -> ShopEvent:
    return ShopEvent(
        event_id=f"e{number}",
        event_name=name,
        timestamp=second * SECOND,
        anonymous_id=device,
        user_id=user,
        session_id=session,
        properties=properties,
        context={},
    )


def test_totals_of_a_small_shop() -> None:
    order = {"order_id": "o1", "revenue": 19.9}
    events = [
        event(1, "page_view", 0),
        event(2, "page_view", 1800),
        event(2, "page_view", 1800),
        event(3, "page_view", 3601),
        event(4, "purchase", 3700, user="u1", session="s1", **order),
        event(5, "page_view", 3700 + 86_400, user="u1", session="s1"),
        event(6, "refund", 200_000, user="u1", **order),
    ]

    totals = shop_totals(events)

    assert totals == ShopTotals(
        events=6,
        visitors=1,
        sessions=4,
        orders=1,
        gross_revenue=Decimal("19.9"),
        refunds=Decimal("19.9"),
        sessions_with_order=1,
    )
    assert totals.net_revenue == 0
    assert totals.conversion_rate == 0.25


def test_totals_count_a_device_for_the_user_it_was_first_seen_with() -> None:
    events = [
        event(1, "page_view", 0),
        event(2, "page_view", 10, user="u2"),
        event(3, "page_view", 5, user="u1"),
        event(4, "page_view", 0, device="a2"),
    ]

    totals = shop_totals(events)

    assert (totals.visitors, totals.sessions) == (3, 3)


def test_totals_of_nothing_are_zero() -> None:
    totals = shop_totals([])

    assert totals.sessions == 0
    assert totals.conversion_rate == 0
