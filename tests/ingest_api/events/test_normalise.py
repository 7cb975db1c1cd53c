import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.events.enrichment.senders import Sender
from ingest_api.events.normalise import EVENT_TYPES, normalise, parse_timestamp, uuid7
from ingest_api.events.payload import TrackEvent
from ingest_api.events.warnings import Notice
from tests.ingest_api.events.events_given import NOW
from warehouse.raw_events import RawEvent


def _row(**fields: object) -> RawEvent:
    row = normalise(TrackEvent(**{"event_name": "page_view", "user_id": "u1", **fields}), "ios", NOW)  # type: ignore[arg-type]
    assert isinstance(row, RawEvent)
    return row


def _row_and_notices(**fields: object) -> tuple[RawEvent, list[Notice]]:
    notices: list[Notice] = []
    event = TrackEvent(**{"event_name": "page_view", "user_id": "u1", **fields})  # type: ignore[arg-type]
    row = normalise(event, "ios", NOW, notices=notices)
    assert isinstance(row, RawEvent)
    return row, notices


def _json(moment: datetime) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(moment))


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


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        (NOW + timedelta(days=1, milliseconds=1), "occurred_in_future"),
        (NOW - timedelta(days=3653, milliseconds=1), "occurred_long_ago"),
        (NOW + timedelta(days=1), None),
        (NOW - timedelta(days=3653), None),
    ],
)
def test_normalise_keeps_and_flags_what_is_far_from_its_arrival(timestamp: datetime, code: str | None) -> None:
    row, notices = _row_and_notices(timestamp=timestamp.isoformat())

    assert row.occurred_at == timestamp
    assert row.warnings == ((code,) if code else ())
    assert [notice.code for notice in notices] == list(row.warnings)


@pytest.mark.parametrize("clock_behind", [timedelta(minutes=2), timedelta(days=-400, milliseconds=7)])
def test_normalise_corrects_a_clock_that_is_off(clock_behind: timedelta) -> None:
    happened = NOW - timedelta(hours=3)

    row, notices = _row_and_notices(
        timestamp=(happened - clock_behind).isoformat(), sent_at=_json(NOW - clock_behind), event_id="e1"
    )

    assert (row.occurred_at, row.clock_skew_ms) == (happened, clock_behind // timedelta(milliseconds=1))
    assert row.warnings == ("clock_skew_corrected",)
    assert notices[0].field == "timestamp"


@pytest.mark.parametrize("skew_seconds", [60, -60, 0.5, 0])
def test_normalise_tolerates_a_minute_which_may_be_the_way(skew_seconds: float) -> None:
    happened = NOW - timedelta(hours=3)

    row, _ = _row_and_notices(
        timestamp=happened.isoformat(), sent_at=_json(NOW - timedelta(seconds=skew_seconds)), event_id="e1"
    )

    assert (row.occurred_at, row.clock_skew_ms, row.warnings) == (happened, 0, ())


def test_normalise_prefers_the_event_s_own_time_of_sending() -> None:
    hour = timedelta(hours=1)
    event = TrackEvent("a", "u", timestamp=(NOW - hour).isoformat(), sent_at=_json(NOW - hour))

    row = normalise(event, "ios", NOW, sent_at=NOW - 2 * hour)

    assert isinstance(row, RawEvent)
    assert row.occurred_at == NOW


def test_normalise_corrects_nothing_without_a_timestamp() -> None:
    row, _ = _row_and_notices(sent_at=_json(NOW - timedelta(days=1)))

    assert (row.occurred_at, row.clock_skew_ms, row.warnings) == (NOW, 0, ())


@pytest.mark.parametrize("sent_at", [b"[]", b'"yesterday"', b"5", b"1e999", b"true", b'"0001-01-01"', b"[" * 5000])
def test_normalise_ignores_a_time_of_sending_that_cannot_be_read(sent_at: bytes) -> None:
    row, _ = _row_and_notices(timestamp=NOW.isoformat(), sent_at=msgspec.Raw(sent_at))

    assert (row.occurred_at, row.warnings) == (NOW, ("member_ignored",))


def test_normalise_corrects_nothing_when_the_result_cannot_be_stored() -> None:
    row, _ = _row_and_notices(timestamp="2299-01-01", sent_at=_json(NOW - timedelta(days=36_500)))

    assert (row.occurred_at.year, row.clock_skew_ms) == (2299, 0)


def test_normalise_takes_secrets_out_and_says_so() -> None:
    row, notices = _row_and_notices(
        properties=msgspec.Raw(b'{"url":"https://a/cb?code=x&page=1"}'), context=msgspec.Raw(b'{"q":"?token=y"}')
    )

    assert (row.properties, row.context) == ('{"url":"https://a/cb?code=REDACTED&page=1"}', '{"q":"?token=REDACTED"}')
    assert row.warnings == ("secret_removed",)
    assert [notice.field for notice in notices] == ["properties", "context"]


def test_normalise_stores_the_sender_of_the_request() -> None:
    sender = Sender("203.0.113.0", "DE", "agent", "desktop", "Windows", "10", "Chrome", "126", False)

    row = normalise(TrackEvent("a", "u"), "web", NOW, sender=sender)

    assert isinstance(row, RawEvent)
    assert tuple(getattr(row, name) for name in Sender._fields) == sender


def test_a_sender_has_the_last_columns_of_an_event() -> None:
    assert RawEvent.__struct_fields__[-len(Sender._fields) :] == Sender._fields


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
