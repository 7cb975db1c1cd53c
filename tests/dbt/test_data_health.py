"""What is known about the data's own state: results of tests, unusual days, and whether events still come in."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dbt.conftest import Dbt
from warehouse.client import Client, connect

JUDGED = date(2026, 3, 4)
"""A Wednesday; the tables are fresh until the day after it."""
REFRESHED = datetime(2026, 3, 5, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def built(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """An environment of this module's own: tests put rows into its marts."""
    dbt = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("data_health"))
    dbt("build", "--exclude-resource-type", "unit_test", "test")
    return dbt


@pytest.fixture
def client(built: Dbt) -> Iterator[Client]:
    client = connect(built.settings)
    yield client
    for mart in ("events_daily", "revenue_daily"):
        client.command(f"TRUNCATE TABLE `{built.settings.database('marts')}`.{mart}")
    client.close()


def result_of(built: Dbt, client: Client, test: str) -> dict[str, Any]:
    """What data_health_tests says of a test after it ran."""
    built("test", "--select", test)
    return shown(built, client, test)


def shown(built: Dbt, client: Client, test: str) -> dict[str, Any]:
    marts = built.settings.database("marts")
    answer = client.query(f"SELECT * FROM `{marts}`.data_health_tests WHERE test_name = '{test}'")
    [row] = answer.named_results()
    return dict(row)


def count_events(built: Dbt, client: Client, by_day: dict[date, int], name: str = "view") -> None:
    rows = [[day, name, "page_view", events, 1, REFRESHED] for day, events in by_day.items()]
    columns = ["event_date", "event_name", "event_type", "event_count", "visitor_count", "refreshed_at"]
    client.insert("events_daily", rows, column_names=columns, database=built.settings.database("marts"))


def history(*counts: int, judged: int | None) -> dict[date, int]:
    """The judged day, and the same weekday one, two, ... weeks before it; no row for None."""
    weeks = {JUDGED - timedelta(weeks=week): events for week, events in enumerate(counts, start=1)}
    return weeks if judged is None else weeks | {JUDGED: judged}


WEEKS = (1000, 1040, 960, 1010, 990, 1020, 980, 1000)


@pytest.mark.parametrize(
    ("days", "status"),
    [
        pytest.param(history(*WEEKS, judged=1400), "pass", id="within what is usual"),
        pytest.param(history(*WEEKS, judged=1600), "warn", id="far more"),
        pytest.param(history(*WEEKS, judged=400), "warn", id="far fewer"),
        pytest.param(history(*WEEKS, judged=None), "warn", id="nothing at all"),
        pytest.param(history(1000, 9000, 960, 1010, 0, 1020, 980, 1000, judged=1600), "warn", id="outliers before it"),
        pytest.param(history(1000, 1400, 700, 1200, 800, 1300, 600, 1000, judged=1600), "pass", id="restless weeks"),
        pytest.param(history(1000, 1000, 1000, judged=1), "pass", id="too short a history"),
        pytest.param(history(50, 50, 50, 50, 50, judged=1), "pass", id="too few to judge"),
        pytest.param(
            history(*WEEKS, judged=1000) | {JUDGED - timedelta(days=4): 10, JUDGED + timedelta(days=1): 3},
            "pass",
            id="another weekday, and a day that has not ended",
        ),
    ],
)
def test_volume_is_compared_with_the_same_weekday(
    built: Dbt, client: Client, days: dict[date, int], status: str
) -> None:
    count_events(built, client, days)

    result = result_of(built, client, "events_daily_volumes_are_usual")

    assert result["status"] == status


def test_each_series_is_judged_alone(built: Dbt, client: Client) -> None:
    count_events(built, client, history(*WEEKS, judged=1000), name="view")
    count_events(built, client, history(*WEEKS, judged=0), name="buy")

    result = result_of(built, client, "events_daily_volumes_are_usual")

    assert (result["status"], result["failure_count"]) == ("warn", 1)


def add_revenue(built: Dbt, client: Client, net: int) -> None:
    client.command(
        f"INSERT INTO `{built.settings.database('marts')}`.revenue_daily "
        f"(revenue_date, currency, gross_revenue_amount, net_revenue_amount) VALUES ('2026-03-01', 'EUR', 5, {net})"
    )


def test_last_result_of_a_test_is_shown_with_its_table(built: Dbt, client: Client) -> None:
    add_revenue(built, client, net=4)

    with pytest.raises(AssertionError, match="revenue_daily_adds_up"):
        built("test", "--select", "revenue_daily_adds_up")

    failed = shown(built, client, "revenue_daily_adds_up")
    assert (failed["layer"], failed["table_name"], failed["severity"]) == ("marts", "revenue_daily", "error")
    assert (failed["status"], failed["failure_count"]) == ("fail", 1)
    # Another test may have let it pass before.
    assert failed["last_passed_at"] is None or failed["last_passed_at"] < failed["refreshed_at"]
    assert "Got 1 result" in failed["message"]


def test_test_that_passes_again_says_since_when(built: Dbt, client: Client) -> None:
    add_revenue(built, client, net=5)

    passed = result_of(built, client, "revenue_daily_adds_up")

    assert (passed["status"], passed["message"]) == ("pass", "")
    assert passed["last_passed_at"] == passed["refreshed_at"]


def test_test_in_a_file_of_its_own_is_shown_under_the_table_that_it_names(built: Dbt, client: Client) -> None:
    result = result_of(built, client, "every_event_belongs_to_a_visitor")

    assert (result["layer"], result["table_name"], result["status"]) == ("intermediate", "int_events", "pass")


@pytest.mark.parametrize(
    ("event_name", "age", "is_fresh"),
    [
        pytest.param("page_view", timedelta(minutes=5), True, id="just now"),
        pytest.param("page_view", timedelta(hours=30), False, id="a day ago"),
        pytest.param("$freshness_probe", timedelta(minutes=5), False, id="only the service's own event"),
    ],
)
def test_source_is_stale_when_nobody_sends_events(
    gateway: Gateway, tmp_path: Any, event_name: str, age: timedelta, is_fresh: bool
) -> None:
    dbt = Dbt(fresh_settings(gateway), tmp_path)
    client = connect(dbt.settings)
    inserted_at = datetime.now(UTC) - age
    columns = ["event_id", "event_name", "inserted_at"]
    client.insert(
        "events", [["e1", event_name, inserted_at]], column_names=columns, database=dbt.settings.database("raw")
    )
    client.close()

    if is_fresh:
        dbt("source", "freshness")
    else:
        with pytest.raises(AssertionError, match="events"):
            dbt("source", "freshness")
