"""The days a report is about, and the days it is compared with."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ingest_api.errors import FieldError, InputInvalid

DEFAULT_DAYS = 30
LONGEST_DAYS = 731
_FIRST, _LAST = date(2000, 1, 1), date(2100, 12, 31)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole UTC days, both ends inclusive."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """Number of days, at least 1."""
        return (self.end - self.start).days + 1

    def previous(self) -> "Period":
        """The same number of days just before."""
        return Period(self.start - timedelta(days=self.days), self.start - timedelta(days=1))

    def is_complete(self, as_of: datetime | None) -> bool:
        """Whether all of its days were over when the data was received until `as_of`."""
        return as_of is not None and as_of >= datetime.combine(self.end + timedelta(days=1), datetime.min.time(), UTC)

    def days_until(self, as_of: datetime | None) -> list[date]:
        """Its days, without those that had not begun at `as_of`: about them nothing can be known yet."""
        end = self.end if as_of is None else min(self.end, as_of.astimezone(UTC).date())
        return [self.start + timedelta(days=n) for n in range((end - self.start).days + 1)]


def read_period(start_date: str | None, end_date: str | None, today: date) -> Period:
    """The period a caller asks for; without dates the last 30 full days, with one date 30 days from or until it.

    Raises:
        InputInvalid: a date is not `YYYY-MM-DD`, they are in the wrong order, or the period is too long.
    """
    errors: list[FieldError] = []
    start, end = _read_date("startDate", start_date, errors), _read_date("endDate", end_date, errors)
    if not errors:
        if end is None:
            yesterday = today - timedelta(days=1)
            end = yesterday if start is None else min(start + timedelta(days=DEFAULT_DAYS - 1), max(start, yesterday))
        if start is None:
            start = end - timedelta(days=DEFAULT_DAYS - 1)
        if start > end:
            errors.append(FieldError("startDate", f"is after endDate ({end})"))
        elif (end - start).days + 1 > LONGEST_DAYS:
            errors.append(FieldError("startDate", f"is more than {LONGEST_DAYS} days before endDate ({end})"))
        else:
            return Period(start, end)
    raise InputInvalid(f"{errors[0].field} {errors[0].message}.", errors=errors)


def _read_date(field: str, text: str | None, errors: list[FieldError]) -> date | None:
    if text is None:
        return None
    try:
        # fromisoformat also reads week dates and 20260131.
        found = date.fromisoformat(text) if len(text) == len("2026-01-31") and text[4] == "-" == text[7] else None
    except ValueError:
        found = None
    if found is None:
        errors.append(FieldError(field, "is not a date of the form YYYY-MM-DD"))
    elif not _FIRST <= found <= _LAST:
        errors.append(FieldError(field, f"is not between {_FIRST} and {_LAST}"))
    return found
