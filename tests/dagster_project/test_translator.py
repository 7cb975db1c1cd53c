from datetime import timedelta
from typing import Any

import pytest

from dagster_project.defs.transform.translator import claim, source_freshness


@pytest.mark.parametrize(
    ("freshness", "windows"),
    [
        ({"warn_after": {"count": 2, "period": "hour"}, "error_after": {"count": 1, "period": "day"}}, (2, 24)),
        ({"warn_after": {}, "error_after": {"count": 90, "period": "minute"}}, (None, 1.5)),
        ({"warn_after": {"count": 2, "period": "hour"}, "error_after": {"count": None, "period": None}}, None),
        (None, None),
    ],
)
def test_source_freshness_becomes_a_policy_when_it_has_a_moment_of_failure(
    freshness: dict[str, Any] | None, windows: tuple[float | None, float] | None
) -> None:
    policy = source_freshness(freshness)

    if windows is None:
        assert policy is None
    else:
        warn_hours, fail_hours = windows
        assert policy is not None
        assert policy.fail_window.to_timedelta() == timedelta(hours=fail_hours)
        assert (policy.warn_window and policy.warn_window.to_timedelta()) == (
            None if warn_hours is None else timedelta(hours=warn_hours)
        )


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ({"name": "a", "description": "Every sale has a buyer."}, "Every sale has a buyer."),
        ({"name": "a", "test_metadata": {"name": "not_null"}, "column_name": "id"}, "dbt test not_null on id"),
        (
            {"name": "a", "test_metadata": {"name": "one_grain"}, "column_name": None},
            "dbt test one_grain on the table",
        ),
        ({"name": "sales_match"}, "dbt test sales_match"),
    ],
)
def test_check_says_what_its_dbt_test_claims(test: dict[str, Any], words: str) -> None:
    assert claim(test) == words
