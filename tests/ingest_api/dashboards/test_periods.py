"""Which days a report is about."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.dashboards.periods import DEFAULT_DAYS, LONGEST_DAYS, Period, read_period
from ingest_api.errors import InputInvalid

TODAY = date(2026, 3, 15)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(None, None, Period(date(2026, 2, 13), date(2026, 3, 14)), id="the last 30 full days"),
        pytest.param("2026-03-01", "2026-03-01", Period(date(2026, 3, 1), date(2026, 3, 1)), id="one day"),
        pytest.param("2026-01-01", None, Period(date(2026, 1, 1), date(2026, 1, 30)), id="30 days from the start"),
        pytest.param("2026-03-10", None, Period(date(2026, 3, 10), date(2026, 3, 14)), id="until yesterday"),
        pytest.param("2026-03-15", None, Period(date(2026, 3, 15), date(2026, 3, 15)), id="today alone"),
        pytest.param(None, "2024-03-01", Period(date(2024, 2, 1), date(2024, 3, 1)), id="over a leap day"),
    ],
)
def test_period_is_read(start: str | None, end: str | None, expected: Period) -> None:
    assert read_period(start, end, TODAY) == expected


@pytest.mark.parametrize(
    ("start", "end", "fields"),
    [
        pytest.param("soon", None, ["startDate"], id="no date"),
        pytest.param("2026-02-30", None, ["startDate"], id="no such day"),
        pytest.param("20260201", None, ["startDate"], id="no hyphens"),
        pytest.param("2026-W05-1", None, ["startDate"], id="week date"),
        pytest.param("2026-02-01T00:00:00", None, ["startDate"], id="with a time"),
        pytest.param("", None, ["startDate"], id="empty"),
        pytest.param(None, "1700000000", ["endDate"], id="epoch"),
        pytest.param("x", "y", ["startDate", "endDate"], id="both"),
        pytest.param("1969-12-31", "1970-01-01", ["startDate", "endDate"], id="before the calendar"),
        pytest.param("2026-03-02", "2026-03-01", ["startDate"], id="wrong order"),
        pytest.param("2020-01-01", "2026-01-01", ["startDate"], id="too long"),
    ],
)
def test_period_is_refused_with_the_wrong_field_named(start: str | None, end: str | None, fields: list[str]) -> None:
    with pytest.raises(InputInvalid) as refused:
        read_period(start, end, TODAY)

    assert [wrong.field for wrong in refused.value.errors] == fields


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)), st.integers(1, LONGEST_DAYS))
def test_previous_period_is_as_long_and_ends_the_day_before(end: date, days: int) -> None:
    start = date.fromordinal(end.toordinal() - days + 1)
    period = Period(start, end)

    previous = period.previous()

    assert previous.days == period.days == days
    assert (period.start - previous.end).days == 1


@pytest.mark.parametrize(
    ("as_of", "complete", "days"),
    [
        (None, False, 3),
        (datetime(2026, 3, 3, 23, 59, 59, tzinfo=UTC), False, 3),
        (datetime(2026, 3, 4, tzinfo=UTC), True, 3),
        (datetime(2026, 3, 2, 1, tzinfo=UTC), False, 2),
        (datetime(2026, 2, 1, tzinfo=UTC), False, 0),
    ],
)
def test_period_is_complete_when_its_last_day_was_over(as_of: datetime | None, complete: bool, days: int) -> None:
    period = Period(date(2026, 3, 1), date(2026, 3, 3))

    assert period.is_complete(as_of) is complete
    assert len(period.days_until(as_of)) == days


def test_default_is_thirty_days() -> None:
    assert read_period(None, None, TODAY).days == DEFAULT_DAYS == 30
