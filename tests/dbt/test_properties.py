"""No text that a client sends as properties can stop the build."""

from datetime import UTC, datetime

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import connect

HOSTILE = [
    "",
    "{",
    "[]",
    "null",
    "{}" * 1000,
    '{"revenue":' + "9" * 400 + "}",
    '{"revenue":-1e99}',
    '{"revenue":1e-99}',
    '{"revenue":"1e5000"}',
    '{"revenue":0x10,"currency":5}',
    '{"revenue":1,"revenue":2}',
    '{"revenue":"\\ud800","page":"\\ud800\\udc00"}',
    '{"page":' + "[" * 500 + "]" * 500 + "}",
    '{"page":{"path":"/x"},"url":["a"],"currency":{},"order_id":[1]}',
    '{"a.b":1,"a":{"b":2},"":3}',
    '{"revenue":true,"order_id":false,"currency":null}',
    "\\N",
    "{\"revenue\":'1'}",
    '{"revenue":"1,000.00"}',
    '{"url":"https://","page":"://","path":"?"}',
    '{"url":"https://a/?utm_source=%ff%00&gclid=%","referrer":"://","utm_medium":["x"],"utmTerm":{"a":1}}',
    '{"page":["a","b"],"campaign":[1,2,3],"os":{"name":["x"]},"device":[[]],"location":7,"country":{"a":1}}',
    '{"$current_url":"https://[::1]/","$referrer":"https://1.2.3.4:80/","os":"{","device":"{\\"type\\":1"}',
]


def test_hostile_properties_become_null_or_empty(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> None:
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("properties"))
    client = connect(dbt.settings)
    now = datetime(2026, 2, 1, tzinfo=UTC)
    rows = [[f"e{n}", "purchase", "ann", now, now, text, text] for n, text in enumerate(HOSTILE)]
    columns = ["event_id", "event_name", "user_id", "occurred_at", "received_at", "properties", "context"]
    client.insert("events", rows, column_names=columns, database=dbt.settings.database("raw"))

    dbt("build", "--exclude-resource-type", "unit_test")

    staged = client.query(
        "SELECT event_id, revenue_amount, order_id != '', currency != '' "
        f"FROM `{dbt.settings.database('staging')}`.stg_events FINAL"
    ).result_rows
    client.close()
    assert len(staged) == len(HOSTILE)
    assert all(has_order and has_currency for _, _, has_order, has_currency in staged)
    amounts = {HOSTILE[int(event_id[1:])]: amount for event_id, amount, _, _ in staged if amount is not None}
    assert amounts == {'{"revenue":1e-99}': 0, '{"revenue":1,"revenue":2}': 1}
