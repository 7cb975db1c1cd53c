import contextlib
import functools
import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.errors import InputInvalid
from ingest_api.events.normalise import normalise
from ingest_api.events.openapi import BATCH_EXAMPLE, TRACK_EXAMPLE
from ingest_api.events.payload import (
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    REJECTION_CODES,
    Rejection,
    TrackEvent,
    decode_batch,
    decode_event,
)
from tests.ingest_api.events.events_given import NOW
from warehouse.raw_events import RawEvent

_LONGEST = 200


def _event(**fields: Any) -> dict[str, Any]:
    return {"eventName": "page_view", "userId": "u1", **fields}


def _nested(levels: int) -> object:
    return functools.reduce(lambda inner, _: [inner], range(levels), 1)


def _outcome(event: object) -> TrackEvent | Rejection | RawEvent:
    """What becomes of one event in a batch, and that the same becomes of it alone."""
    [in_batch] = decode_batch(json.dumps({"events": [event]}).encode()).events
    alone = decode_event(json.dumps(event).encode()).event
    first, second = (one if isinstance(one, Rejection) else normalise(one, "web", NOW) for one in (in_batch, alone))
    assert _without_id(first) == _without_id(second)
    return first


def _without_id(outcome: object) -> object:
    return msgspec.structs.asdict(outcome) | {"event_id": ""} if isinstance(outcome, RawEvent) else outcome


def test_decode_event_reads_the_documented_body() -> None:
    event = decode_event(json.dumps(TRACK_EXAMPLE).encode()).event

    assert isinstance(event, TrackEvent)
    assert (event.event_name, event.user_id, event.session_id) == ("page_view", "user123", "session456")
    assert json.loads(bytes(event.properties)) == {"page": "/home", "title": "Homepage"}


def test_decode_batch_reads_the_documented_body() -> None:
    events = decode_batch(json.dumps(BATCH_EXAMPLE).encode()).events

    assert [event.event_name for event in events if isinstance(event, TrackEvent)] == ["page_view", "button_click"]


@pytest.mark.parametrize(
    ("event", "code", "field"),
    [
        (3, "not_an_object", ""),
        (None, "not_an_object", ""),
        ([], "not_an_object", ""),
        ({"userId": "u1"}, "field_missing", "eventName"),
        (_event(eventName=None), "field_missing", "eventName"),
        (_event(eventName=""), "field_missing", "eventName"),
        (_event(eventName=" \t"), "field_missing", "eventName"),
        (_event(eventName=7), "wrong_type", "eventName"),
        (_event(eventName="x" * (_LONGEST + 1)), "too_long", "eventName"),
        (_event(userId=7), "wrong_type", "userId"),
        (_event(userId="x" * (_LONGEST + 1)), "too_long", "userId"),
        (_event(anonymousId={}), "wrong_type", "anonymousId"),
        (_event(sessionId=[1]), "wrong_type", "sessionId"),
        (_event(eventId=True), "wrong_type", "eventId"),
        (_event(eventType="x" * 65), "too_long", "eventType"),
        ({"eventName": "page_view"}, "identity_missing", "userId"),
        (_event(userId=""), "identity_missing", "userId"),
        (_event(properties=[1]), "not_an_object", "properties"),
        (_event(properties="{}"), "not_an_object", "properties"),
        (_event(context=1), "not_an_object", "context"),
        (_event(properties={"a": "x" * 65_536}), "too_large", "properties"),
        (_event(properties={"a": _nested(MAX_DEPTH)}), "too_deep", "properties"),
        (_event(context={"a": _nested(MAX_DEPTH)}), "too_deep", "context"),
        (_event(more=_nested(MAX_DEPTH)), "too_deep", "context"),
        (_event(more="x" * MAX_EVENT_BYTES), "too_large", ""),
        (_event(timestamp="yesterday"), "timestamp_invalid", "timestamp"),
        (_event(timestamp=""), "timestamp_invalid", "timestamp"),
        (_event(timestamp=True), "wrong_type", "timestamp"),
        (_event(timestamp={}), "wrong_type", "timestamp"),
        (_event(timestamp="1899-12-31T23:59:59Z"), "timestamp_out_of_range", "timestamp"),
        (_event(timestamp="0001-01-01T00:00:00+14:00"), "timestamp_out_of_range", "timestamp"),
        (_event(timestamp="9999-12-31T23:59:59-14:00"), "timestamp_out_of_range", "timestamp"),
        (_event(timestamp=1_700_000_000), "timestamp_out_of_range", "timestamp"),
        (_event(timestamp=-1), "timestamp_out_of_range", "timestamp"),
        (_event(timestamp=10**30), "timestamp_out_of_range", "timestamp"),
        (_event(timestamp=1.5e300), "timestamp_out_of_range", "timestamp"),
    ],
)
def test_event_is_rejected_with_code_and_field(event: object, code: str, field: str) -> None:
    outcome = _outcome(event)

    assert isinstance(outcome, Rejection)
    assert (outcome.code, outcome.field) == (code, field)
    assert code in REJECTION_CODES
    assert field in outcome.message


def test_event_is_rejected_when_its_timestamp_is_beyond_floating_point() -> None:
    outcome = decode_event(b'{"eventName":"a","userId":"u","timestamp":1e999}').event

    assert isinstance(outcome, Rejection)
    assert outcome.code == "timestamp_out_of_range"


def test_event_is_accepted_when_it_uses_each_limit_to_the_full() -> None:
    longest = "\U0001f600" * _LONGEST
    event = _event(
        eventName=longest, userId=longest, anonymousId=longest, sessionId=longest, eventId=longest, eventType="x" * 64
    )

    outcome = _outcome(event | {"properties": {"a": "x" * (65_536 - 9)}})

    assert isinstance(outcome, RawEvent)
    assert (outcome.event_name, outcome.event_id, len(outcome.properties)) == (longest, longest, 65_536)


def test_event_may_leave_out_or_null_every_optional_field() -> None:
    optional = ["anonymousId", "sessionId", "eventId", "eventType", "timestamp", "sentAt", "properties", "context"]

    outcome = _outcome(_event(**dict.fromkeys(optional)))

    assert _without_id(outcome) == _without_id(_outcome(_event()))


def test_decode_batch_gives_each_event_its_own_verdict() -> None:
    body = json.dumps({"events": [_event(), _event(userId=1), _event(eventName="b"), 4]}).encode()

    events = decode_batch(body).events

    assert [type(event) for event in events] == [TrackEvent, Rejection, TrackEvent, Rejection]


def test_unknown_fields_are_kept_in_the_context_and_named() -> None:
    body = json.dumps(
        {"events": [_event(), _event(pageUrl="/x", context={"a": 1, "unknownFields": {"old": 2}})]}
    ).encode()

    decoded = decode_batch(body)

    assert decoded.unknown_fields == {1: ["pageUrl"]}
    kept = decoded.events[1]
    assert isinstance(kept, TrackEvent)
    assert json.loads(bytes(kept.context)) == {"a": 1, "unknownFields": {"old": 2, "pageUrl": "/x"}}


def test_unknown_members_of_the_batch_are_named() -> None:
    decoded = decode_batch(json.dumps({"events": [_event()], "sentAt": 1, "writeKey": "wk"}).encode())

    assert decoded.ignored_members == ["writeKey"]


def test_unknown_members_of_the_batch_are_not_listed_when_they_are_very_many() -> None:
    members = ",".join(f'"{number}":0' for number in range(1_000_000))

    decoded = decode_batch(f'{{{members},"events":[{json.dumps(_event())}]}}'.encode())

    assert (len(decoded.events), decoded.ignored_members) == (1, [""])


@pytest.mark.parametrize("more", [{}, {"pageUrl": "/x"}])
def test_time_of_sending_is_read_beside_the_events_and_in_each(more: dict[str, object]) -> None:
    body = json.dumps({"events": [_event(sentAt=[1]), _event(**more)], "sentAt": "2026-01-31"}).encode()

    decoded = decode_batch(body)

    first, second = decoded.events
    assert isinstance(first, TrackEvent)
    assert isinstance(second, TrackEvent)
    assert (decoded.sent_at, bytes(first.sent_at), bytes(second.sent_at)) == (b'"2026-01-31"', b"[1]", b"null")


@pytest.mark.parametrize("more", [{}, {"pageUrl": "/x"}, {"userId": 5}])
def test_texts_are_the_events_as_they_were_sent(more: dict[str, object]) -> None:
    events = [json.dumps(_event(n=1.50)), json.dumps(_event(**more))]

    in_batch = decode_batch(f'{{"events": [{events[0]},  {events[1]}]}}'.encode()).texts()
    alone = decode_event(events[1].encode()).text

    assert [bytes(text).decode() for text in in_batch] == events
    assert alone.decode() == events[1]


@pytest.mark.parametrize(
    "body",
    [
        b'{"events":[' + b"1," * 5_000_000 + b"1]}",
        b'{"events":[' + b'{"eventName":"a","userId":"u"},' * 400_000 + b"1]}",
        b'{"events":[' + b"9" * 5_000 + b",1" * 5_000_000 + b"]}",
        b'{"events":[{' + b",".join(b'"%d":0' % number for number in range(600_000)) + b"}]}",
        b'{"events":[{"eventName":"a","userId":"u","properties":[' + b"1," * 5_000_000 + b"1]}]}",
    ],
)
def test_a_hostile_body_takes_bounded_memory(body: bytes) -> None:
    tracemalloc.start()
    with contextlib.suppress(InputInvalid):
        decode_batch(body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 8 * len(body)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"\ude00 cut", "\ufffd cut"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\uD83D\uDE00\\ud83d", "\U0001f600\\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
    ],
)
def test_a_character_cut_in_two_does_not_cost_the_batch(text: str, stored: str) -> None:
    body = f'{{"events":[{{"eventName":"{text}","userId":"u","properties":{{"t":"{text}"}}}}]}}'.encode()

    [event] = decode_batch(body).events

    assert isinstance(event, TrackEvent)
    assert event.event_name == stored
    assert json.loads(bytes(event.properties)) == {"t": stored}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json_invalid"),
        (b"{", "json_invalid"),
        (b'{"events":[{"eventName":"a","userId":"u","properties":{"price":NaN}}]}', "json_invalid"),
        (b"\xef\xbb\xbf{}", "json_invalid"),
        (b'{"eventName":"\xff"}', "encoding_invalid"),
        (b'{"eventName":"a","userId":"u","properties":{"a":"\xed\xa0\x80"}}', "encoding_invalid"),
        (b'{"eventName":"a","userId":"u","properties":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001, "json_invalid"),
    ],
)
def test_a_body_that_is_not_json_is_refused_as_a_whole(body: bytes, code: str) -> None:
    for decode in (decode_event, decode_batch):
        with pytest.raises(InputInvalid) as refused:
            decode(body)

        assert refused.value.code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "events_missing"),
        (b"[]", "events_missing"),
        (b'{"events":null}', "events_missing"),
        (b'{"events":[]}', "events_missing"),
        (b'{"events":[' + b",".join([b"1"] * 10_001) + b"]}", "events_too_many"),
        (json.dumps({"events": [_event()] * 10_001}).encode(), "events_too_many"),
    ],
)
def test_a_batch_must_hold_a_bounded_number_of_events(body: bytes, code: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        decode_batch(body)

    assert refused.value.code == code


_texts = st.text(st.characters(), max_size=8) | st.sampled_from(
    ["", " ", "\x00", "u1", "x" * 201, "2026-01-31", "\U0001f600", "\ud83d"]
)
_numbers = st.integers() | st.floats() | st.integers(10**18, 10**40)
_values = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_events = _values | st.dictionaries(
    st.sampled_from([*(one.encode_name for one in msgspec.structs.fields(TrackEvent)), "pageUrl"]),
    _texts | _values,
    max_size=9,
)


@given(st.lists(_events, max_size=4), st.booleans())
def test_any_batch_is_refused_as_a_whole_or_judged_event_by_event(events: list[object], is_named: bool) -> None:
    for event in events:
        if is_named and isinstance(event, dict):
            event |= {"eventName": "a", "userId": "u"}
    body = json.dumps({"events": events}).encode()
    if not events or b"NaN" in body or b"Infinity" in body:
        with pytest.raises(InputInvalid):
            decode_batch(body)
        return

    judged = decode_batch(body).events

    assert len(judged) == len(events)
    for one in judged:
        outcome = one if isinstance(one, Rejection) else normalise(one, "web", NOW)
        if isinstance(outcome, Rejection):
            assert outcome.code in REJECTION_CODES
        else:
            assert isinstance(json.loads(outcome.properties), dict)
            assert isinstance(json.loads(outcome.context), dict)
            assert msgspec.json.decode(msgspec.json.encode(outcome), type=RawEvent) == outcome


@given(_events.filter(lambda event: isinstance(event, dict)))
def test_an_event_with_unknown_fields_is_judged_like_one_without(event: dict[str, object]) -> None:
    event = event | {"eventName": "a", "userId": "u"}
    event.pop("pageUrl", None)
    try:
        known = decode_event(json.dumps(event).encode()).event
    except InputInvalid:
        return

    unknown = decode_event(json.dumps(event | {"more": 1}).encode()).event

    assert _but_context(unknown) == _but_context(known)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_answered(body: bytes) -> None:
    for read in (lambda: [decode_event(body).event], lambda: decode_batch(body).events):
        try:
            events = read()
        except InputInvalid:
            continue
        assert all(isinstance(event, TrackEvent | Rejection) for event in events)


@pytest.mark.parametrize(
    "properties",
    [
        '{"a":1,"a":2}',
        '{"a":' + "9" * 5000 + "}",
        '{"a":1e999}',
        '{"a":' + "[" * 127 + "]" * 127 + "}",
        '{"a":"' + "[{" * 500 + '\\\\\\""}',
        '{"a":[' + ",".join(["[]"] * 500) + "]}",
        '{"\\u0000":"\\u0000"}',
        '{"a":{"b":1},"a.b":2}',
    ],
)
def test_odd_properties_are_kept_as_they_came(properties: str) -> None:
    event = decode_event(f'{{"eventName":"a","userId":"u","properties":{properties}}}'.encode()).event

    assert isinstance(event, TrackEvent)
    outcome = normalise(event, "web", NOW)
    assert isinstance(outcome, RawEvent)
    assert outcome.properties == properties


def _but_context(one: TrackEvent | Rejection) -> object:
    if isinstance(one, Rejection):
        return one
    return msgspec.structs.asdict(one) | {"properties": bytes(one.properties), "context": None}
