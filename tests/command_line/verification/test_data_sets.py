from pathlib import Path

import pytest

from command_line.row_mapping import EventMapping, read_mapping
from command_line.verification.data_sets import DATA_SETS
from command_line.verify import MAPPINGS

RETAIL_LINE = {
    "InvoiceNo": "536365",
    "StockCode": "85123A",
    "Description": "WHITE HANGING HEART T-LIGHT HOLDER",
    "Quantity": "6",
    "InvoiceDate": "2010-12-01 08:26:00",
    "UnitPrice": "2.55",
    "CustomerID": "17850",
    "Country": "United Kingdom",
}


def retail_event(**changes: str) -> dict[str, object]:
    mapping = EventMapping(read_mapping([str(MAPPINGS / "online_retail.yml")]), tuple(RETAIL_LINE))
    event = mapping.event(RETAIL_LINE | changes, "file", 1)
    assert event is not None
    return event


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "sale"),
        ({"InvoiceNo": "C536365", "Quantity": "-6"}, "refund"),
        ({"InvoiceNo": "A563185", "UnitPrice": "11062.06"}, "adjustment"),
        ({"Quantity": "-6"}, "non_revenue"),
        ({"UnitPrice": "0"}, "non_revenue"),
    ],
)
def test_invoice_line_becomes_the_event_that_the_answers_define(changes: dict[str, str], name: str) -> None:
    event = retail_event(**changes)

    assert event["eventName"] == name


def test_invoice_line_carries_its_exact_amount_and_its_order() -> None:
    event = retail_event()

    properties = event["properties"]

    assert isinstance(properties, dict)
    assert str(properties["revenue"]) == "15.30"
    assert properties["order_id"] == "536365"
    assert properties["currency"] == "GBP"


def test_invoice_line_without_a_customer_belongs_to_its_invoice() -> None:
    event = retail_event(CustomerID="")

    user = event["userId"]

    assert user == "anonymous-536365"


def test_only_purchases_carry_revenue_in_the_web_shop() -> None:
    columns = ("event_time", "event_type", "product_id", "category_code", "brand", "price", "user_id", "user_session")
    mapping = EventMapping(read_mapping([str(MAPPINGS / "rees46.yml")]), columns)
    row = dict(zip(columns, ("2019-10-01 00:00:00 UTC", "view", "1", "", "apple", "35.79", "7", "s"), strict=True))

    view, purchase = mapping.event(row, "file", 1), mapping.event(row | {"event_type": "purchase"}, "file", 2)

    assert view is not None
    assert purchase is not None
    assert "revenue" not in view["properties"]
    assert purchase["properties"]["revenue"] == "35.79"
    assert purchase["properties"]["order_id"] == "s"


def test_each_data_set_has_a_mapping() -> None:
    mappings = {path.stem for path in Path(MAPPINGS).glob("*.yml")}

    assert mappings == DATA_SETS.keys()


def test_each_window_of_the_answers_becomes_a_funnel_for_dbt() -> None:
    results = {"funnel_clicks_carts_orders": {"30m": {}, "7d": {}}}

    funnels = DATA_SETS["otto"].dbt_funnels(results)

    steps = ["clicks", "carts", "orders"]
    assert funnels == [
        {"name": "funnel_clicks_carts_orders_30m", "window": "30 minutes", "steps": steps},
        {"name": "funnel_clicks_carts_orders_7d", "window": "7 days", "steps": steps},
    ]
