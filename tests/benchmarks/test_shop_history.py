from datetime import timedelta

from benchmarks.harness.shop_history import FUNNEL, ShopHistory
from warehouse.client import Client
from warehouse.config import WarehouseSettings

PER_DAY, VISITORS = 3_000, 100


def test_days_follow_each_other_and_no_event_comes_twice(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    history = ShopHistory(warehouse, warehouse_settings, PER_DAY, VISITORS)

    history.add_days(2)
    history.add_days(1)

    raw = f"`{warehouse_settings.database('raw')}`.events"
    sent_on = "received_at - INTERVAL 1 SECOND"
    days = warehouse.query(f"SELECT toDate({sent_on}), count() FROM {raw} GROUP BY 1 ORDER BY 1").result_rows
    [(first, last, events)] = warehouse.query(
        f"SELECT min({sent_on}), max({sent_on}), uniqExact(event_id) FROM {raw}"
    ).result_rows
    assert [count for _, count in days] == [PER_DAY] * 3
    assert timedelta(days=2) < last - first < timedelta(days=3)
    assert events == history.events == 3 * PER_DAY


def test_fewer_visits_take_each_further_step_of_the_funnel(
    warehouse: Client, warehouse_settings: WarehouseSettings
) -> None:
    ShopHistory(warehouse, warehouse_settings, PER_DAY, VISITORS).add_days(1)

    raw = f"`{warehouse_settings.database('raw')}`.events"
    counts = dict(warehouse.query(f"SELECT event_name, count() FROM {raw} GROUP BY 1").result_rows)
    steps = [counts[step] for step in FUNNEL]

    assert set(counts) == set(FUNNEL)
    assert sorted(steps, reverse=True) == steps
    assert steps[-1] > 0
