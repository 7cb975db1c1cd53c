from pathlib import Path

import pytest

from command_line.row_mapping import EventMapping, read_mapping
from command_line.verification.data_sets import DATA_SETS, DataSet
from command_line.verify import MAPPINGS
from flags.experiment_codec import decode_experiment

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

VOTER = ("row_id", "sex", "yearofbirth", "primary2004", "messages", "primary2006", "hhsize")


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


EVENT_SETS = {name: one for name, one in DATA_SETS.items() if isinstance(one, DataSet)}


def test_each_data_set_has_its_mappings_and_each_mapping_its_data_set() -> None:
    mappings = {path.stem for path in Path(MAPPINGS).glob("*.yml")}

    assert mappings == {name for data_set in EVENT_SETS.values() for name in data_set.mapping_names}


@pytest.mark.parametrize("name", ["ab_cookie_cats", "ab_social_pressure"])
def test_experiment_of_a_data_set_is_one_that_can_be_started(name: str) -> None:
    body = EVENT_SETS[name].experiment

    experiment = decode_experiment(body)

    assert experiment.status == "running"
    assert experiment.control.allocation > 0


@pytest.mark.parametrize(("primary2004", "primary2006", "names"), [("1", "1", ["voted"] * 2), ("0", "0", [])])
def test_voter_votes_twice_at_most_and_each_vote_is_an_event_of_its_own(
    primary2004: str, primary2006: str, names: list[str]
) -> None:
    row = dict(zip(VOTER, ("7", "male", "1960", primary2004, "Civic Duty", primary2006, "2"), strict=True))
    mappings = [
        EventMapping(read_mapping([str(MAPPINGS / f"{name}.yml")]), VOTER)
        for name in EVENT_SETS["ab_social_pressure"].mapping_names
    ]

    events = [event for mapping in mappings if (event := mapping.event(row, "file", 1)) is not None]

    exposures = [event for event in events if event["eventName"] == "experiment_exposure"]
    assert [event["eventName"] for event in events if event not in exposures] == names
    assert [event["properties"]["variant"] for event in exposures] == ["civic_duty"]
    assert {event["userId"] for event in events} == {"voter-7"}
    assert len({event["eventId"] for event in events}) == len(events)


def test_each_window_of_the_answers_becomes_a_funnel_for_dbt() -> None:
    results = {"funnel_clicks_carts_orders": {"30m": {}, "7d": {}}}

    funnels = EVENT_SETS["otto"].dbt_funnels(results)

    steps = ["clicks", "carts", "orders"]
    assert funnels == [
        {"name": "funnel_clicks_carts_orders_30m", "window": "30 minutes", "steps": steps},
        {"name": "funnel_clicks_carts_orders_7d", "window": "7 days", "steps": steps},
    ]
