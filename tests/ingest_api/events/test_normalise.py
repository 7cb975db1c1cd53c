import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.events.normalise import EVENT_TYPES, normalise, parse_timestamp, uuid7
from ingest_api.events.payload import TrackEvent
from tests.ingest_api.events.events_given import NOW
from warehouse.raw_events import RawEvent


def _row(**fields: object) -> RawEvent:
    row = normalise(TrackEvent(**{"event_name": "page_view", "user_id": "u1", **fields}), "ios", NOW)  # type: ignore[arg-type]
    assert isinstance(row, RawEvent)
    return row


def test_normalise_fills_in_what_the_client_left_out() -> None:
    row = _row()

    assert uuid.UUID(row.event_id).version == 7
    assert row == RawEvent(row.event_id, "page_view", "page_view", "u1", "", "", NOW, NOW, "{}", "{}", "ios")


def test_normalise_keeps_what_the_client_gave() -> None:
    row = _row(
        event_name=" signup ",
        event_id="mine",
        event_type="own",
        user_id=None,
        anonymous_id="a1",
        session_id="s1",
        timestamp="2026-01-30T10:00:00.1239+02:00",
        properties=msgspec.Raw(b'{ "b" : 1.10 }'),
        context=msgspec.Raw(b'{"device":"phone"}'),
    )

    occurred_at = datetime(2026, 1, 30, 8, 0, 0, 123_000, tzinfo=UTC)
    assert row == RawEvent(
        "mine", "signup", "own", "", "a1", "s1", occurred_at, NOW, '{ "b" : 1.10 }', '{"device":"phone"}', "ios"
    )


@pytest.mark.parametrize(
    ("name", "event_type"), [*EVENT_TYPES.items(), ("Page_View", "page_view"), ("button_click", "user_action")]
)
def test_normalise_derives_the_type_from_the_name(name: str, event_type: str) -> None:
    row = _row(event_name=name)

    assert row.event_type == event_type


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31T08:30:00Z", "2026-01-31T08:30:00+00:00"),
        ("2026-01-31T08:30:00.999999Z", "2026-01-31T08:30:00.999000+00:00"),
        ("2026-01-31T10:30:00+02:00", "2026-01-31T08:30:00+00:00"),
        ("2026-01-31 08:30:00", "2026-01-31T08:30:00+00:00"),
        ("2019-10-01 00:00:00 UTC", "2019-10-01T00:00:00+00:00"),
        ("2003-05-07 13:45", "2003-05-07T13:45:00+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("20260131T083000Z", "2026-01-31T08:30:00+00:00"),
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00+00:00"),
        ("2299-12-31T23:59:59.999Z", "2299-12-31T23:59:59.999000+00:00"),
        (1_659_304_800_025, "2022-07-31T22:00:00.025000+00:00"),
        (1_659_304_800_025.9, "2022-07-31T22:00:00.025000+00:00"),
        (1.659304800025e12, "2022-07-31T22:00:00.025000+00:00"),
    ],
)
def test_parse_timestamp_reads_every_documented_form(value: str | float, expected: str) -> None:
    moment = parse_timestamp(value)

    assert isinstance(moment, datetime)
    assert moment.isoformat() == expected


@settings(deadline=None)
@given(st.integers(100_000_000_000, 10_000_000_000_000))
def test_parse_timestamp_reads_both_forms_of_one_moment_alike(milliseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)

    assert parse_timestamp(moment.isoformat()) == parse_timestamp(milliseconds) == moment


def test_uuid7_is_of_version_7_in_order_of_time_and_never_the_same() -> None:
    ids = [uuid7(NOW + timedelta(milliseconds=step)) for step in range(1000)]

    parsed = [uuid.UUID(one) for one in ids]
    assert {(one.version, one.variant) for one in parsed} == {(7, uuid.RFC_4122)}
    assert ids == sorted(ids)
    assert parsed[0].int >> 80 == int(NOW.timestamp() * 1000)
    assert len({uuid7(NOW) for _ in range(10_000)}) == 10_000
