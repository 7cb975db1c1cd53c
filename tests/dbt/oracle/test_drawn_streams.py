"""What the streams are worth: a rule that is a little wrong gives other marts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dbt.oracle.comparison import counted
from tests.dbt.oracle.conftest import STREAMS
from tests.dbt.oracle.declared import Declared
from tests.dbt.oracle.history import History
from tests.dbt.oracle.marts import MARTS
from tests.dbt.oracle.orders import orders
from tests.dbt.oracle.staging import RawEvent
from tests.dbt.oracle.streams import Streams, drawn_streams

FIRST_BATCH_AT = datetime(2026, 1, 1, tzinfo=UTC)
CHECKOUT = ["page_view", "add_to_cart", "purchase"]
WRONG_SETTINGS = [
    ("sessions", {"session_gap_seconds": 1799.9995}),
    ("sessions", {"session_gap_seconds": 1800.0015}),
    ("sessions", {"client_session_gap_seconds": 86_399.9995}),
    ("sessions", {"alias_events": []}),
    ("sessions", {"shared_ids": []}),
    ("events_daily", {"synthetic_events": []}),
    ("revenue_daily", {"default_currency": "EUR"}),
    ("revenue_daily", {"sale_events": ["purchase"]}),
    ("funnels", {"funnels": [{"name": "checkout", "window": "604799999 milliseconds", "steps": CHECKOUT}]}),
    ("kpis_daily", {"refund_events": []}),
]


def history(streams: Streams, **wrong: Any) -> History:
    declared = Declared()
    raw = (
        RawEvent(**{"os_name": "", "browser_name": "", **arrival.row(), "inserted_at": inserted_at(arrival.batch)})
        for stream in streams.arrivals
        for arrival in stream
    )
    return History(raw, Declared(variables={**declared.variables, **wrong}), {})


def inserted_at(batch: int) -> datetime:
    return FIRST_BATCH_AT + timedelta(days=batch)


@pytest.fixture(scope="module")
def right(streams: Streams) -> History:
    return history(streams)


@pytest.mark.parametrize(("mart", "wrong"), WRONG_SETTINGS, ids=str)
def test_wrong_rule_shows(streams: Streams, right: History, mart: str, wrong: dict[str, Any]) -> None:
    rows = MARTS[mart].rows

    is_different = counted(rows(history(streams, **wrong))) != counted(rows(right))

    assert is_different


def test_streams_hold_late_repeated_and_contradicted_events_and_refunds_before_their_orders(
    streams: Streams, right: History
) -> None:
    arrivals = [arrival for stream in streams.arrivals for arrival in stream]
    first_batch = {}
    for arrival in sorted(arrivals, key=lambda arrival: arrival.batch):
        first_batch.setdefault(arrival.event_id, arrival.batch)
    times = {(arrival.event_id, arrival.occurred_at) for arrival in arrivals}
    refunds = [event for event in right.events if event.revenue_kind == "refund"]

    assert len(streams.arrivals) > STREAMS
    assert len(first_batch) < len(times) < len(arrivals)
    first_sales = {key: order.first for key, order in orders(right).items()}
    assert any(event.day < first_sales.get((event.order_id, event.currency), event).day for event in refunds)


def test_same_seed_gives_the_same_streams(streams: Streams) -> None:
    assert drawn_streams(5, streams.seed) == drawn_streams(5, streams.seed)
