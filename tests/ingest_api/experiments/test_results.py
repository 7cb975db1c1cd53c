"""Results over HTTP, from tables with known rows."""

import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ingest_api.auth.roles import Role
from ingest_api.experiments.results_csv import COLUMNS, csv_of
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.flags.experiments_given import SIGNUP
from tests.ingest_api.conftest import Api
from tests.ingest_api.experiments.conftest import TESTS
from tests.ingest_api.experiments.experiments_made import created
from tests.ingest_api.experiments.results_given import (
    RESULT_COLUMNS,
    create_tables,
    exposure_row,
    insert,
    result_rows,
    set_watermark,
)
from tests.ingest_api.serving import api_settings, bearer, serving, token_for
from tests.ingest_api.test_errors import assert_problem
from warehouse.client import Client, connect

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
COUNTED = {name for name, kind in RESULT_COLUMNS.items() if "Nullable" not in kind} | {
    "sum", "mean", "control_mean", "std_dev", "control_std_dev",
}  # fmt: skip
"""What is known of a variant before anything is computed."""
NOON_OF_THE_THIRD = datetime(2026, 3, 3, 12, tzinfo=UTC)
GUARDRAIL: dict[str, Any] = {
    "id": "refunds",
    "type": "count",
    "role": "guardrail",
    "direction": "decrease",
    "nonInferiorityMargin": 0.1,
}


class Tables:
    """The tables of one environment, to be filled by tests."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._client: Client = connect(api.warehouse_settings)

    def results(self, experiment_id: str, *days: date, **members: Any) -> None:
        members = {"computed_at": NOON_OF_THE_THIRD, **members}
        rows = [row for day in days for row in result_rows(experiment_id, day, **members)]
        insert(self._client, self.api.warehouse_settings, "experiment_results", *rows)

    def insert(self, table: str, *rows: dict[str, Any]) -> None:
        insert(self._client, self.api.warehouse_settings, table, *rows)

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def reading(gateway: Gateway, valkey: Valkey) -> Iterator[Api]:
    """An API over empty tables; its client sends an analyst's token."""
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    client = connect(warehouse_settings)
    create_tables(client, warehouse_settings)
    set_watermark(client, warehouse_settings, "2026-03-03 12:00:00.000")
    client.close()
    with serving(settings, warehouse_settings) as api_client:
        api_client.headers.update(bearer(token_for(settings, Role.ANALYST)))
        yield Api(api_client, settings, warehouse_settings)


@pytest.fixture
def tables(reading: Api) -> Iterator[Tables]:
    found = Tables(reading)
    yield found
    found.close()


def results(api: Api, key: str, **query: Any) -> dict[str, Any]:
    answer = api.client.get(f"{TESTS}/{key}/results", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def variant(found: dict[str, Any], place: int = 1, metric: int = 0) -> dict[str, Any]:
    one: dict[str, Any] = found["metrics"][metric]["variants"][place]
    return one


def test_every_column_of_the_last_whole_day_is_answered(reading: Api, tables: Tables) -> None:
    created(reading.client, "whole")
    tables.results("whole", FIRST, SECOND, THIRD)

    found = results(reading, "whole")

    assert found["verdict"] == {
        "code": "wins",
        "text": "New wins: +4.1 % (+1.2 % to +7.0 %), valid at any time",
        "variantId": "new",
    }
    assert (found["asOf"], found["isComplete"]) == ("2026-03-02", True)
    assert found["computedAt"] == found["dataUntil"] == "2026-03-03T12:00:00Z"
    [metric] = found["metrics"]
    assert (metric["metricId"], metric["isPrimary"], metric["metricRole"]) == ("signup", True, "goal")
    control, new = metric["variants"]
    assert control["isControl"]
    assert control["pValue"] is control["verdict"] is control["confidenceInterval"] is None
    assert new["confidenceInterval"] == [0.0015, 0.0067]
    assert new["relativeConfidenceInterval"] == [0.015, 0.067]
    assert new["sequentialConfidenceInterval"] == [0.0012, 0.007]
    assert new["sequentialRelativeConfidenceInterval"] == [0.012, 0.07]
    assert new["credibleInterval"] == [0.02, 0.06]
    assert (new["pValue"], new["pValueText"], new["pValueAdjusted"]) == (4e-5, "4e-05", 8e-5)
    assert (new["sum"], new["users"], new["controlUsers"]) == (1041.0, 10_000, 10_000)
    assert new["priorStdDev"] is None
    assert new["verdict"]["code"] == "wins"
    assert found["segments"] == found["series"] == []


def test_every_column_of_the_table_has_its_name_in_camel_case(reading: Api, tables: Tables) -> None:
    created(reading.client, "names")
    tables.results("names", FIRST)

    found = results(reading, "names")

    told = set(found["metrics"][0]) | set(variant(found))
    ends = {name for name in RESULT_COLUMNS if name.endswith(("_lower", "_upper"))}
    elsewhere = {"experiment_id", "dimension", "dimension_value", "as_of_date", "computed_at", "engine_version"}
    for name in RESULT_COLUMNS.keys() - ends - elsewhere:
        first, *rest = name.split("_")
        assert first + "".join(part.capitalize() for part in rest) in told


def test_day_that_is_not_over_is_told_and_not_decided_on(reading: Api, tables: Tables) -> None:
    created(reading.client, "young")
    tables.results("young", THIRD)
    created(reading.client, "old")
    tables.results("old", SECOND)
    tables.results("old", THIRD, relative_lift=0.5)

    young, old = results(reading, "young"), results(reading, "old")
    asked = results(reading, "old", asOf="2026-03-03")
    too_early = results(reading, "old", asOf="2026-03-01")

    assert (young["asOf"], young["isComplete"]) == ("2026-03-03", False)
    assert young["health"]["warnings"] == ["The last day is not over yet: its numbers still grow"]
    assert (old["asOf"], variant(old)["relativeLift"]) == ("2026-03-02", 0.041)
    assert (asked["asOf"], asked["isComplete"], variant(asked)["relativeLift"]) == ("2026-03-03", False, 0.5)
    assert too_early["asOf"] is None
    assert too_early["verdict"]["code"] == "no_data"


def test_numbers_that_are_none_are_null(reading: Api, tables: Tables) -> None:
    created(reading.client, "odd")
    tables.results(
        "odd",
        FIRST,
        relative_lift=None,
        relative_ci_lower=None,
        relative_ci_upper=0.1,
        p_value=1e-305,
        test_statistic=math.inf,
        posterior_mean=math.nan,
        sequential_p_value=0.0,
        status="baseline_zero",
        validation_failures=["baseline_zero"],
    )

    answer = reading.client.get(f"{TESTS}/odd/results")

    new = variant(answer.json())
    assert "NaN" not in answer.text
    assert "Infinity" not in answer.text
    assert (
        new["relativeLift"] is new["relativeConfidenceInterval"] is new["testStatistic"] is new["posteriorMean"] is None
    )
    assert (new["pValue"], new["pValueText"]) == (1e-305, "<1e-300")
    assert (new["sequentialPValue"], new["sequentialPValueText"]) == (0.0, "<1e-300")
    assert new["validationFailures"] == ["baseline_zero"]


def test_sample_ratio_mismatch_silences_the_result(reading: Api, tables: Tables) -> None:
    created(reading.client, "skewed")
    tables.results("skewed", FIRST, srm_p_value=1e-12, srm_detected=True, is_reliable=False)

    found = results(reading, "skewed")

    assert found["verdict"]["text"] == "Sample ratio mismatch: do not read the result (p = 1e-12)"
    assert variant(found)["verdict"]["code"] == "sample_ratio_mismatch"
    assert variant(found)["relativeLift"] == 0.041
    assert found["health"]["srm"] == {"pValue": 1e-12, "pValueText": "1e-12", "detected": True}
    assert found["health"]["warnings"][0].startswith("Users are not split as they were to be (p = 1e-12)")


def test_health_counts_who_is_in_no_number(reading: Api, tables: Tables) -> None:
    created(reading.client, "healthy")
    tables.results("healthy", FIRST)
    tables.insert(
        "experiment_exposures_daily",
        exposure_row("healthy", "control", FIRST, 500, multiple_exposure_users=9),
        exposure_row("healthy", "new", FIRST, 400, multiple_exposure_users=6, unexpected_users=3),
        exposure_row("healthy", "", FIRST, 0, unknown_variant_users=7),
        # After the day that is answered.
        exposure_row("healthy", "control", THIRD, 1000),
    )

    health = results(reading, "healthy")["health"]

    assert health["variants"] == [
        {"variantId": "control", "users": 500, "expectedUsers": 500.0, "unexpectedUsers": 0},
        {"variantId": "new", "users": 400, "expectedUsers": 400.0, "unexpectedUsers": 3},
    ]
    assert health["multipleExposures"] == {"users": 15, "rate": pytest.approx(15 / 915), "isAlarming": True}
    assert health["unknownVariantUsers"] == 7
    assert health["warnings"] == [
        "15 users (1.6%) saw more than one variant; they are left out",
        "7 users saw a variant that is none of these; they are left out",
        "3 users came to New while it was to get nobody",
    ]


def test_guardrail_is_heard(reading: Api, tables: Tables) -> None:
    created(reading.client, "guarded", metrics=[SIGNUP, GUARDRAIL])
    tables.results("guarded", FIRST)
    tables.results(
        "guarded",
        FIRST,
        metric_id="refunds",
        metric_name="Refunds",
        metric_type="count",
        metric_role="guardrail",
        is_primary=False,
        guardrail_status="failed",
        relative_lift=0.2,
        relative_ci_lower=0.1,
        relative_ci_upper=0.3,
    )

    found = results(reading, "guarded")

    assert found["verdict"]["text"] == "Guardrail failed: Refunds of New +20.0 % (+10.0 % to +30.0 %)"
    assert [one["metricId"] for one in found["metrics"]] == ["signup", "refunds"]
    assert [variant(found, metric=place)["verdict"]["code"] for place in (0, 1)] == ["wins", "guardrail_failed"]


def test_planned_number_of_users_is_waited_for(reading: Api, tables: Tables) -> None:
    created(reading.client, "waiting", plannedUsers=50_000)
    tables.results("waiting", FIRST, is_significant_sequential=False)

    assert results(reading, "waiting")["verdict"]["text"] == "Not enough users yet: 20,000 of 50,000"


def test_segments_come_with_their_values_and_no_verdict(reading: Api, tables: Tables) -> None:
    created(reading.client, "split", segments=["country"])
    tables.results("split", FIRST)
    for value in ("DE", "US", ""):
        tables.results("split", FIRST, dimension="country", dimension_value=value)
    tables.results("split", FIRST, dimension="source", dimension_value="ios")

    found = results(reading, "split", dimension="country")

    assert [(one["dimension"], one["value"]) for one in found["segments"]] == [
        ("country", ""),
        ("country", "DE"),
        ("country", "US"),
    ]
    new = found["segments"][1]["metrics"][0]["variants"][1]
    assert (new["relativeLift"], new["verdict"]) == (0.041, None)
    assert found["verdict"]["code"] == "wins"


def test_series_has_each_day_that_was_asked_for(reading: Api, tables: Tables) -> None:
    created(reading.client, "daily")
    for day, lift in ((FIRST, 0.1), (SECOND, 0.2)):
        tables.results("daily", day, relative_lift=lift)
        tables.results("daily", day, relative_lift=9.0, dimension="country", dimension_value="DE")

    whole = results(reading, "daily", series=True)["series"]
    part = results(reading, "daily", **{"from": "2026-03-02", "to": "2026-03-02"})["series"]
    until = results(reading, "daily", to="2026-03-01")["series"]

    assert [(one["asOf"], one["metrics"][0]["variants"][1]["relativeLift"]) for one in whole] == [
        ("2026-03-01", 0.1),
        ("2026-03-02", 0.2),
    ]
    assert [one["asOf"] for one in part] == ["2026-03-02"]
    assert [one["asOf"] for one in until] == ["2026-03-01"]


def test_one_metric_can_be_picked_and_the_verdict_stays(reading: Api, tables: Tables) -> None:
    created(reading.client, "picked", metrics=[SIGNUP, {"id": "visits", "type": "count"}])
    tables.results("picked", FIRST)
    tables.results("picked", FIRST, metric_id="visits", metric_type="count", metric_role="secondary", is_primary=False)

    found = results(reading, "picked", metricId="visits")

    assert [one["metricId"] for one in found["metrics"]] == ["visits"]
    assert found["verdict"]["code"] == "wins"


def test_results_that_are_not_computed_yet_count_users(reading: Api, tables: Tables) -> None:
    created(reading.client, "raw")
    rows = [{name: value for name, value in row.items() if name in COUNTED} for row in result_rows("raw", SECOND)]
    tables.insert("experiment_results", *rows)

    found = results(reading, "raw")

    assert found["verdict"]["code"] == "no_data"
    assert "Not computed yet" in found["verdict"]["text"]
    assert (variant(found)["users"], variant(found)["mean"], variant(found)["pValue"]) == (10_000, 0.1041, None)


def test_draft_has_nothing_to_read(reading: Api) -> None:
    created(reading.client, "draft", status="draft")

    found = results(reading, "draft")

    assert found["verdict"]["code"] == "not_started"
    assert (found["asOf"], found["metrics"], found["health"]["srm"]["detected"]) == (None, [], False)
    assert found["health"]["warnings"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"asOf": "yesterday"}, "asOf"),
        ({"asOf": "1900-01-01"}, "asOf"),
        ({"dimension": "shoe_size"}, "dimension"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "from"),
        ({"series": "maybe"}, "series"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_query_that_cannot_be_is_refused(reading: Api, query: dict[str, str], field: str) -> None:
    if reading.client.get(f"{TESTS}/queried").status_code == 404:
        created(reading.client, "queried")

    problem = assert_problem(reading.client.get(f"{TESTS}/queried/results", params=query), 400, "input_invalid")

    assert [one["field"] for one in problem["errors"]] == [field]


def test_unknown_experiment_and_missing_permission_are_told(reading: Api) -> None:
    unknown = reading.client.get(f"{TESTS}/nothing/results")
    stranger = reading.client.get(f"{TESTS}/nothing/results", headers={"authorization": ""})

    assert_problem(unknown, 404, "experiment_not_found")
    assert_problem(stranger, 401)


def test_table_has_the_columns_of_the_mart(reading: Api, tables: Tables) -> None:
    created(reading.client, "sheet", name="Sheet")
    tables.results("sheet", FIRST, SECOND, metric_name="=1+1", validation_failures=["low_counts", "baseline_zero"])

    latest = reading.client.get(f"{TESTS}/sheet/results.csv")
    series = reading.client.get(f"{TESTS}/sheet/results.csv", params={"series": True})

    assert latest.headers["content-type"] == "text/csv; charset=utf-8"
    assert latest.headers["content-disposition"] == 'attachment; filename="sheet.csv"'
    control, new = csv.DictReader(io.StringIO(latest.text))
    assert list(new) == list(RESULT_COLUMNS) == list(COLUMNS)
    assert (new["as_of_date"], new["relative_lift"], new["is_significant"]) == ("2026-03-02", "0.041", "true")
    assert (control["relative_lift"], control["is_control"]) == ("", "true")
    assert (new["metric_name"], new["validation_failures"]) == ("'=1+1", "low_counts baseline_zero")
    assert len(series.text.splitlines()) == 5


def test_table_without_rows_has_its_header(reading: Api) -> None:
    created(reading.client, "bare")

    assert reading.client.get(f"{TESTS}/bare/results.csv").text == csv_of([])
