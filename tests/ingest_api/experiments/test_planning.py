"""Plans: users, days, and what would be found."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from statsmodels.stats.power import NormalIndPower

from ingest_api.auth.roles import Role
from ingest_api.errors import InputInvalid
from ingest_api.experiments.planning import Baseline, plan_of
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.conftest import Api
from tests.ingest_api.experiments.conftest import TESTS
from tests.ingest_api.experiments.experiments_made import created
from tests.ingest_api.experiments.results_given import (
    create_tables,
    exposure_row,
    insert,
    result_rows,
    set_watermark,
)
from tests.ingest_api.serving import api_settings, bearer, nowhere, serving, token_for
from tests.ingest_api.test_errors import assert_problem
from warehouse.client import connect

PLAN = f"{TESTS}/plan"
TEN_PER_CENT = Baseline(0.1, 0.09, is_rate=True)
HALVES = (0.5, 0.5)


def test_ten_per_cent_on_a_rate_of_ten_per_cent_takes_what_the_books_say() -> None:
    plan = plan_of(TEN_PER_CENT, 0.1, HALVES, 1000)

    assert plan.users == (14_749, 14_749)
    assert (plan.total_users, plan.days) == (29_498, 30)


def test_equal_variances_agree_with_statsmodels() -> None:
    baseline = Baseline(20.0, 225.0)

    plan = plan_of(baseline, 0.05, HALVES, None, alpha=0.01, power=0.9)

    expected = NormalIndPower().solve_power(effect_size=1 / 15, alpha=0.01, power=0.9)
    assert plan.users[0] == pytest.approx(expected, abs=1)
    assert (plan.days, plan.detectable) == (None, ())


def test_more_variants_each_take_as_many() -> None:
    three = plan_of(TEN_PER_CENT, 0.1, (1 / 3,) * 3, None)

    assert three.users == (14_749,) * 3


def test_unequal_allocations_take_more() -> None:
    equal = plan_of(TEN_PER_CENT, 0.1, HALVES, None)
    unequal = plan_of(TEN_PER_CENT, 0.1, (0.9, 0.1), None)

    assert unequal.total_users > 2.5 * equal.total_users
    assert unequal.users[0] == pytest.approx(9 * unequal.users[1], abs=9)


def test_planned_number_of_days_detects_the_planned_effect() -> None:
    plan = plan_of(Baseline(20.0, 225.0), 0.05, HALVES, 500)

    [month] = [one for one in plan.detectable if one.days == 28]
    exact = plan_of(Baseline(20.0, 225.0), month.lift, HALVES, 500)
    assert [one.days for one in plan.detectable] == [7, 14, 28, 56]
    assert exact.days == 28
    lifts = [one.lift for one in plan.detectable]
    assert lifts == sorted(lifts, reverse=True)


@pytest.mark.parametrize("baseline", [Baseline(0.0, 1.0), Baseline(0.95, 0.0475, is_rate=True), Baseline(1.0, 0.0)])
def test_baseline_that_leaves_nothing_to_find_is_refused(baseline: Baseline) -> None:
    with pytest.raises(InputInvalid, match="baseline"):
        plan_of(baseline, 0.1, HALVES, None)


def test_effect_that_no_number_of_users_shows_is_refused() -> None:
    with pytest.raises(InputInvalid, match="too small beside the variance"):
        plan_of(Baseline(1.0, 1e24), 1e-6, HALVES, None)


@pytest.fixture(scope="module")
def planning(gateway: Gateway, valkey: Valkey) -> Iterator[Api]:
    """An API that knows yesterday's traffic; its client sends an analyst's token."""
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    client = connect(warehouse_settings)
    create_tables(client, warehouse_settings)
    set_watermark(client, warehouse_settings, "2026-03-03 12:00:00.000")
    insert(
        client,
        warehouse_settings,
        "experiment_results",
        *result_rows("busy", date(2026, 3, 1), computed_at=datetime(2026, 3, 3, tzinfo=UTC)),
    )
    insert(
        client,
        warehouse_settings,
        "experiment_exposures_daily",
        exposure_row("busy", "control", yesterday, 600),
        exposure_row("busy", "new", yesterday, 400),
        exposure_row("busy", "new", date(2026, 3, 1), 5),
    )
    visitors = {"kpi_date": yesterday, "metric": "daily_active_users", "value": 5000.0}
    insert(client, warehouse_settings, "kpis_daily", visitors, visitors | {"dimension": "channel"})
    client.close()
    with serving(settings, warehouse_settings) as api_client:
        api_client.headers.update(bearer(token_for(settings, Role.ANALYST)))
        yield Api(api_client, settings, warehouse_settings)


def planned(api: Api, **asked: Any) -> dict[str, Any]:
    answer = api.client.post(PLAN, json={"minimumDetectableEffect": 0.1, **asked})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_plan_of_a_rate_takes_yesterdays_visitors(planning: Api) -> None:
    found = planned(planning, baseline=0.1)

    assert found | {"detectableAfter": []} == {
        "usersPerVariant": 14_749,
        "usersByVariant": [14_749, 14_749],
        "totalUsers": 29_498,
        "days": 6,
        "usersPerDay": 5000.0,
        "traffic": "visitors",
        "baseline": 0.1,
        "variance": pytest.approx(0.09),
        "type": "conversion",
        "minimumDetectableEffect": 0.1,
        "power": 0.8,
        "alpha": 0.05,
        "detectableAfter": [],
    }
    assert [one["days"] for one in found["detectableAfter"]] == [7, 14, 28, 56]
    assert found["detectableAfter"][0]["totalUsers"] == 35_000


def test_plan_of_an_experiment_takes_its_control_and_its_new_users(planning: Api) -> None:
    created(planning.client, "busy", confidenceLevel=0.9)

    found = planned(planning, experimentId="busy")

    assert (found["baseline"], found["variance"]) == (0.1, pytest.approx(0.09))
    assert (found["usersPerDay"], found["traffic"], found["alpha"]) == (1000.0, "experiment", 0.1)
    assert found["totalUsers"] < 29_498


def test_plan_of_an_experiment_without_traffic_covers_a_share_of_the_visitors(planning: Api) -> None:
    created(
        planning.client,
        "fresh",
        coverage=0.2,
        variants=[
            {"id": "a", "isControl": True, "allocation": 1},
            {"id": "b", "allocation": 1},
            {"id": "off", "allocation": 0},
        ],
    )

    found = planned(planning, experimentId="fresh", baseline=0.1)

    assert (found["usersPerDay"], found["traffic"]) == (1000.0, "visitors")
    assert found["usersByVariant"] == [14_749, 14_749]


def test_given_traffic_and_variance_are_taken(planning: Api) -> None:
    found = planned(planning, type="revenue", baseline=20, variance=225, usersPerDay=100, variants=3)

    assert (found["usersPerDay"], found["traffic"]) == (100.0, "given")
    assert len(found["usersByVariant"]) == 3
    assert found["days"] == -(-found["totalUsers"] // 100)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "baseline"),
        ({"baseline": 1.2}, "baseline"),
        ({"baseline": 0.95}, "baseline"),
        ({"baseline": 0.1, "variance": 1}, "variance"),
        ({"baseline": 20, "type": "revenue"}, "variance"),
        ({"baseline": 0.1, "power": 1}, "power"),
        ({"baseline": 0.1, "minimumDetectableEffect": 0}, "minimumDetectableEffect"),
        ({"baseline": 0.1, "variants": 1}, "variants"),
        ({"experimentId": "idle"}, "baseline"),
        ({"experimentId": "idle", "metricId": "nothing"}, "metricId"),
        ({"baseline": 0.1, "colour": 1}, "colour"),
    ],
)
def test_plan_that_cannot_be_made_names_what_is_missing(planning: Api, asked: dict[str, Any], field: str) -> None:
    if planning.client.get(f"{TESTS}/idle").status_code == 404:
        created(planning.client, "idle")

    answer = planning.client.post(PLAN, json={"minimumDetectableEffect": 0.1, **asked})

    problem = assert_problem(answer, 400, "input_invalid")
    assert [one["field"] for one in problem["errors"]] == [field]


def test_plan_for_an_unknown_experiment_is_refused(planning: Api) -> None:
    answer = planning.client.post(PLAN, json={"minimumDetectableEffect": 0.1, "experimentId": "nothing"})

    assert_problem(answer, 404, "experiment_not_found")


def test_plan_without_a_warehouse_has_no_days(valkey: Valkey) -> None:
    settings = api_settings(valkey.url)
    with serving(settings, nowhere()) as client:
        client.headers.update(bearer(token_for(settings, Role.ANALYST)))

        found = client.post(PLAN, json={"minimumDetectableEffect": 0.1, "baseline": 0.1}).json()

    assert (found["totalUsers"], found["days"], found["traffic"]) == (29_498, None, "unknown")
