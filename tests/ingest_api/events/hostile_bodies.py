"""Bodies for the track routes as a broken or hostile client sends them, and what another reader finds in them."""

import gzip
import json
import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import zstandard
from hypothesis import strategies as st

from ingest_api.events.hot_routes import BATCH_PATH, TRACK_PATH
from ingest_api.events.openapi import BATCH_EXAMPLE, TRACK_EXAMPLE
from ingest_api.events.payload import MAX_EVENTS

_MOST_DECODED_BYTES = 19 * 1024 * 1024
# Python refuses to make numbers of very long texts.
_NUMBER_AS_TEXT = {"parse_int": str, "parse_float": str}


@dataclass(frozen=True, slots=True)
class HostileBody:
    """A body, where it is sent, and what it is before compression."""

    path: str
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)
    plain: bytes | None = None
    """Nothing when the compression is broken."""

    def event_count(self) -> int | None:
        """How many events a well-formed body holds; nothing when it is not well-formed, so that it may be refused."""
        if self.plain is None or len(self.plain) > _MOST_DECODED_BYTES:
            return None
        try:
            read = json.loads(self.plain.decode(), parse_constant=_refuse, **_NUMBER_AS_TEXT)
        except (ValueError, RecursionError):
            return None
        if self.path.startswith(BATCH_PATH):
            events = read.get("events") if isinstance(read, dict) else None
            return len(events) if isinstance(events, list) and 1 <= len(events) <= MAX_EVENTS else None
        return 1


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


_TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
_texts = st.text(st.characters(), max_size=12) | st.sampled_from(
    [
        *(
            "",
            " ",
            "\x00",
            "\x00" * 50,
            "u1",
            "x" * 201,
            "\U0001f600" * 200,
            "\ud83d",
            "\ude00\ud83d",
            "\ufeff",
            "null",
        ),
        *("/?token=x", "/?a=%3Ftoken%3Dx%26b", "203.0.113.7", "Mozilla/5.0 (iPhone)", "$freshness_probe", "page_view"),
        *_TIMES,
        *("1969-12-31", "2299-12-31T23:59:59.999999Z", "2300-01-01", "1899-12-31T23:59:59", "2026-W05-1", "24:00"),
        *("2026-01-31T08:30:00+23:59", "2026-01-31T24:00:00Z", "2026-02-30", "now", "9" * 400),
    ]
)
_numbers = (
    st.integers()
    | st.floats()
    | st.integers(10**18, 10**40)
    | st.sampled_from([1e308, -1e308, 5e-324, -0.0, 2**63, -(2**63), 2**64, 1_800_000_000_000, 1_700_000_000, 10**400])
)
_scalars = st.none() | st.booleans() | _numbers | _texts
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=8,
)
_objects = st.dictionaries(
    st.sampled_from(["ip", "userAgent", "unknownFields", "revenue", "a.b", "page", ""]) | _texts, _values, max_size=5
)
_FIELDS = {
    "eventName": _texts,
    "userId": _texts,
    "anonymousId": _texts,
    "sessionId": _texts,
    "eventId": _texts,
    "eventType": _texts,
    "timestamp": _texts | _numbers,
    "sentAt": _texts | _numbers,
    "properties": _objects,
    "context": _objects,
    "pageUrl": _values,
}
_near_misses = st.fixed_dictionaries({}, optional=_FIELDS).map(lambda event: {"eventName": "a", "userId": "u"} | event)
_wrong_types = st.fixed_dictionaries({}, optional=dict.fromkeys(_FIELDS, _values))
_good = st.fixed_dictionaries(
    {"eventName": st.sampled_from(["page_view", "purchase", "a"]), "userId": st.sampled_from(["u1", "u2"])},
    optional={"properties": _objects, "context": _objects, "timestamp": st.sampled_from([1_790_000_000_000, *_TIMES])},
)


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def _many_keys(count: int) -> str:
    return "{" + ",".join(f'"k{number}":{number}' for number in range(count)) + "}"


_event_texts = (
    (_good | _near_misses | _wrong_types | _values).map(json.dumps)
    # What Python's dictionaries cannot hold.
    | st.sampled_from(
        [
            '{"eventName":"a","eventName":"b","userId":"u","userId":5}',
            '{"eventName":"a","userId":"u","properties":{"a":1,"a":{"b":2},"a.b":3}}',
            '{"eventName":"a","userId":"u","properties":{},"properties":[]}',
            '{"eventName":"a","userId":"u","timestamp":1e999,"properties":{"n":-1e999}}',
            '{"eventName":"a","userId":"u","properties":{"n":' + "9" * 20_000 + "}}",
            '{"eventName":"\\ud83d","userId":"\\ude00u","context":{"\\ud800":"\\udc00\\ud800"}}',
            '{"eventName":"a","userId":"u","properties":{"p":NaN}}',
            '{"eventName":"a","userId":"u","context":{"p":-Infinity}}',
            '{"eventName":"a","userId":"u","properties":{"t":"?token=' + "\\\\" * 500 + '"}}',
        ]
    )
    | st.sampled_from([10, 127, 128, 129, 300, 20_000]).map(
        lambda depth: f'{{"eventName":"a","userId":"u","properties":{{"d":{_nested(depth)}}}}}'
    )
    | st.sampled_from([5, 13_000]).map(
        lambda count: f'{{"eventName":"a","userId":"u","properties":{_many_keys(count)}}}'
    )
    | st.sampled_from([10, 20_000]).map(lambda count: _many_keys(count)[:-1] + ',"eventName":"a","userId":"u"}')
)


def _batch(events: list[str], sent_at: object, beside: str) -> str:
    return f'{{"events":[{",".join(events)}],"sentAt":{json.dumps(sent_at)}{beside}}}'


_batch_texts = st.builds(
    _batch,
    st.lists(_event_texts, max_size=6),
    _texts | _numbers,
    st.sampled_from(["", "", "", ',"writeKey":"x"', ',"events":[]', ',"events":3', ',"x":' + _nested(5000)]),
)
_EXAMPLES = {TRACK_PATH: json.dumps(TRACK_EXAMPLE).encode(), BATCH_PATH: json.dumps(BATCH_EXAMPLE).encode()}


@st.composite
def _mutated(draw: st.DrawFn, path: str) -> bytes:
    """A valid body with some of its bytes replaced, removed or doubled."""
    body = bytearray(_EXAMPLES[path])
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 6)))
        body[start:end] = draw(st.binary(max_size=4) | st.sampled_from([b"null", b'"', b"{", b"]", b"\\u", b"\xff"]))
    return bytes(body)


def _plain(path: str) -> st.SearchStrategy[bytes]:
    texts = (_batch_texts if path == BATCH_PATH else _event_texts).map(str.encode)
    return (
        texts
        | texts
        | texts
        | _mutated(path)
        | st.binary(max_size=200)
        | st.sampled_from(
            [
                *(
                    b"",
                    b" ",
                    b"null",
                    b"[]",
                    b"{}",
                    b'{"events":[]}',
                    b'{"events":{}}',
                    b'{"events":null}',
                    b"\xef\xbb\xbf{}",
                ),
                b'{"events":[' + b"1," * 10_000 + b"1]}",
            ]
        )
    )


_COMPRESSED = [
    ({}, gzip.compress),
    ({"content-encoding": "gzip"}, gzip.compress),
    ({"content-encoding": "deflate"}, zlib.compress),
    ({"content-encoding": "zstd"}, zstandard.compress),
    ({"content-type": "text/plain"}, zstandard.compress),
]


@cache
def _huge_bodies() -> list[HostileBody]:
    """Bodies that are small only while they are compressed."""
    keys = _many_keys(1_000_000)
    good = '{"eventName":"a","userId":"u"}'
    events = [
        f'{{"eventName":"a","userId":"u","properties":{keys}}}',
        f'{keys[:-1]},"eventName":"a","userId":"u"}}',
        f'{{"eventName":"a","userId":"u","properties":{{"d":{_nested(1_000_000)}}}}}',
        f'{{"eventName":"a","properties":{{"t":"{"token=x&" * 1_000_000}"}}}}',
    ]
    batches = [
        *(f'{{"events":[{event},{good}]}}' for event in events),
        f'{keys[:-1]},"events":[{good}]}}',
        f'{{"events":[{"{}," * 3_000_000}{{}}]}}',
        f'{{"events":[{f"{good}," * 500_000}{good}]}}',
        f'{{"events":[{",".join([good] * MAX_EVENTS)}]}}',
        '{"events":' * 1_000_000,
        "[" * 1_000_000,
        " " * (_MOST_DECODED_BYTES + 2 * 1024 * 1024),
    ]
    return [
        HostileBody(path, gzip.compress(text.encode(), 1), {}, text.encode())
        for path, texts in ((TRACK_PATH, events), (BATCH_PATH, batches))
        for text in texts
    ]


@st.composite
def hostile_bodies(draw: st.DrawFn) -> HostileBody:
    """Any body, as it is, compressed (from some kilobytes on always), or as the ruin of something compressed."""
    if draw(st.integers(0, 49)) == 49:
        return draw(st.sampled_from(_huge_bodies()))
    path = draw(st.sampled_from([TRACK_PATH, BATCH_PATH]))
    plain = draw(_plain(path))
    headers, compress = draw(st.sampled_from(_COMPRESSED))
    form = draw(st.sampled_from(["plain", "plain", "plain", "compressed", "ruined"]))
    if form == "plain" and len(plain) < 100_000:
        # The same bytes by accident may be the beginning of something compressed.
        is_plain = not plain.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))
        content_type = draw(st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded"]))
        return HostileBody(path, plain, {"content-type": content_type}, plain if is_plain else None)
    content = compress(plain)
    if form == "ruined":
        place = draw(st.integers(0, len(content) - 1))
        return HostileBody(path, content[:place] + draw(st.binary(max_size=3)) + content[place + 1 :], headers)
    return HostileBody(path, content, headers, plain)
