import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from command_line.row_mapping import EventMapping, UnmappableRow, WrongMapping, read_mapping, row_id
from command_line.row_sources import Row


def _event(mapping: dict[str, str], row: Row, *, columns_known: bool = True) -> dict[str, Any] | None:
    columns = tuple(row) if columns_known else None
    event = EventMapping({"eventName": "'e'", **mapping}, columns).event(row, "file", 1)
    if event is not None:
        event.pop("eventName")
        event.pop("eventId")
    return event


@pytest.mark.parametrize(
    ("mapping", "row", "expected"),
    [
        ({"userId": "u"}, {"u": "7"}, {"userId": "7"}),
        ({"userId": "u"}, {"u": 7}, {"userId": "7"}),
        ({"userId": "u"}, {"u": 7.0}, {"userId": "7"}),
        ({"userId": "u"}, {"u": ""}, {}),
        ({"userId": "u"}, {"u": None}, {}),
        ({"userId": "'me'"}, {}, {"userId": "me"}),
        ({"userId": '"me"'}, {}, {"userId": "me"}),
        ({"userId": "{{ u or 'anonymous-' ~ i }}"}, {"u": "", "i": "5"}, {"userId": "anonymous-5"}),
        ({"userId": "voter-{{ u }}"}, {"u": "5"}, {"userId": "voter-5"}),
        ({"userId": "{{ row['User Id'] }}"}, {"User Id": "5"}, {"userId": "5"}),
        ({"timestamp": "t"}, {"t": "2019-10-01 00:00:00 UTC"}, {"timestamp": "2019-10-01 00:00:00 UTC"}),
        ({"timestamp": "t"}, {"t": "1659304800025"}, {"timestamp": 1659304800025}),
        ({"timestamp": "t"}, {"t": 1659304800025}, {"timestamp": 1659304800025}),
        ({"timestamp": "t"}, {"t": "20260131"}, {"timestamp": "20260131"}),
        ({"timestamp": "t"}, {"t": date(2026, 1, 31)}, {"timestamp": "2026-01-31"}),
        (
            {"timestamp": "t"},
            {"t": datetime(2026, 1, 31, tzinfo=UTC)},
            {"timestamp": "2026-01-31T00:00:00+00:00"},
        ),
        (
            {"properties.a": "a", "context.b": "b"},
            {"a": "1", "b": "2"},
            {"properties": {"a": "1"}, "context": {"b": "2"}},
        ),
        ({"properties.a": "a"}, {"a": ""}, {}),
        ({"properties.a:number": "a"}, {"a": "1.10"}, {"properties": {"a": Decimal("1.10")}}),
        ({"properties.a:boolean": "a"}, {"a": "TRUE"}, {"properties": {"a": True}}),
        ({"properties.a:json": "a"}, {"a": "[1]"}, {"properties": {"a": [1]}}),
        ({"properties.a": "a"}, {"a": 5}, {"properties": {"a": 5}}),
        ({"properties.r": "{{ result }}{{ row['result'] }}"}, {"result": "x"}, {"properties": {"r": "xx"}}),
        ({"properties.r": "{{ a ~ '%}' }}"}, {"a": "x"}, {"properties": {"r": "x%}"}}),
        ({"properties": "p"}, {"p": {"a": 1}}, {"properties": {"a": 1}}),
        ({"properties": "p"}, {"p": '{"a":1}'}, {"properties": {"a": 1}}),
        ({"properties": "p", "properties.b": "b"}, {"p": {"a": 1}, "b": 2}, {"properties": {"a": 1, "b": 2}}),
        ({"properties.b": "b", "properties": "p"}, {"p": {"a": 1}, "b": 2}, {"properties": {"a": 1, "b": 2}}),
        (
            {"properties.revenue": "{{ (Quantity|decimal) * (UnitPrice|decimal) }}"},
            {"Quantity": "-3", "UnitPrice": "0.10"},
            {"properties": {"revenue": Decimal("-0.30")}},
        ),
        ({"properties.revenue": "{{ p if e == 'purchase' else '' }}"}, {"p": "1.0", "e": "view"}, {}),
    ],
)
def test_mapping_makes_an_event_of_a_row(mapping: dict[str, str], row: Row, expected: dict[str, Any]) -> None:
    assert _event(mapping, row) == expected


def test_mapping_finds_nested_values_and_takes_absent_columns_as_empty_when_rows_name_their_own() -> None:
    mapping = {"userId": "user", "anonymousId": "{{ device.id }}", "sessionId": "{{ visit or '' }}"}

    event = _event(mapping, {"device": {"id": "d1"}}, columns_known=False)

    assert event == {"anonymousId": "d1"}


def test_mapping_skips_a_row_without_a_name() -> None:
    mapping = EventMapping({"eventName": "{{ 'kept' if keep == '1' else '' }}"}, ("keep",))

    assert mapping.event({"keep": "0"}, "file", 1) is None
    assert mapping.event({"keep": "1"}, "file", 2) is not None


def test_mapping_without_entries_takes_columns_named_like_fields() -> None:
    row = {"eventName": "a", "userId": "u", "properties.page": "/", "other": "x", "eventId": "id1"}

    event = EventMapping({}, tuple(row)).event(row, "file", 1)

    assert event == {"eventName": "a", "userId": "u", "properties": {"page": "/"}, "eventId": "id1"}


def test_expressions_see_each_row_anew() -> None:
    mapping = EventMapping(
        {"eventName": "'e'", "properties.a": "{{ b or 'none' }}", "properties.c": "{{ c }}"}, ("b", "c")
    )
    rows = [{"b": "1", "c": "x"}, {"b": "", "c": "y"}, {"b": "3", "c": ""}]

    events = [mapping.event(row, "file", number) for number, row in enumerate(rows)]

    assert [event and event["properties"] for event in events] == [
        {"a": "1", "c": "x"},
        {"a": "none", "c": "y"},
        {"a": "3"},
    ]


def test_mapping_leaves_the_row_as_it_was() -> None:
    row = {"p": {"a": 1}, "b": 2}

    EventMapping({"eventName": "'e'", "properties": "p", "properties.b": "b"}, ("p", "b")).event(row, "file", 1)

    assert row == {"p": {"a": 1}, "b": 2}


@pytest.mark.parametrize("name", ["purchase", "käse", ""])
def test_event_id_of_a_row_is_a_uuid_of_version_five(name: str) -> None:
    namespace = uuid.UUID("6f9c2f3e-52c4-5e0b-9d3c-0c1f1f6f2a11")

    found = [row_id("f" * 64, number, name) for number in range(100)]

    assert found == [str(uuid.uuid5(namespace, f"{'f' * 64}/{number}/{name}")) for number in range(100)]


def test_event_ids_depend_on_file_row_and_name_only() -> None:
    def event_id(name: str, identity: str, number: int, user: str = "u") -> str:
        event = EventMapping({"eventName": f"'{name}'", "userId": "u"}, ("u",)).event({"u": user}, identity, number)
        assert event is not None
        return str(event["eventId"])

    assert event_id("a", "file", 1) == event_id("a", "file", 1, user="other")
    assert (
        len({event_id("a", "file", 1), event_id("a", "file", 2), event_id("a", "x", 1), event_id("b", "file", 1)}) == 4
    )


@pytest.mark.parametrize(
    ("mapping", "row", "field"),
    [
        ({"timestamp": "t"}, {"t": ""}, "timestamp"),
        ({"timestamp": "t"}, {"t": None}, "timestamp"),
        ({"userId": "u"}, {"u": {"a": 1}}, "userId"),
        ({"properties": "p"}, {"p": "[1]"}, "properties"),
        ({"properties.a:number": "a"}, {"a": "12 EUR"}, "properties.a:number"),
        ({"properties.a:number": "a"}, {"a": "NaN"}, "properties.a:number"),
        ({"properties.a:boolean": "a"}, {"a": "perhaps"}, "properties.a:boolean"),
        ({"properties.a:json": "a"}, {"a": "{"}, "properties.a:json"),
        ({"properties.a": "{{ a|decimal }}"}, {"a": "x"}, "properties.a"),
        ({"properties.a": "{{ 1 / (a|int) }}"}, {"a": "0"}, "properties.a"),
        ({"properties.a": "{{ a.b.c }}"}, {"a": "0"}, "properties.a"),
        ({"properties.a": "{{ a.b }}"}, {"a": "0"}, "properties.a"),
        ({"timestamp": "t"}, {"t": "  "}, "timestamp"),
    ],
)
def test_mapping_names_the_field_of_a_row_that_cannot_be_mapped(mapping: dict[str, str], row: Row, field: str) -> None:
    with pytest.raises(UnmappableRow) as unmappable:
        _event(mapping, row)

    assert unmappable.value.field == field


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"userId": "b"}, "no column b"),
        ({"userId": "{{ b }}"}, "no column b"),
        ({"userId": "{{ a + }}"}, "userId"),
        ({"userId": "{{ a | no_such_filter }}"}, "no_such_filter"),
        ({"user": "a"}, "user is not a field"),
        ({"userId.a": "a"}, "is not a field"),
        ({"userId:number": "a"}, "is not a field"),
        ({"properties.a:date": "a"}, "is not a field"),
    ],
)
def test_mapping_is_refused_before_the_first_row(mapping: dict[str, str], reason: str) -> None:
    with pytest.raises(WrongMapping, match=reason):
        _event(mapping, {"a": "1"})


def test_mapping_needs_an_event_name() -> None:
    with pytest.raises(WrongMapping, match="eventName"):
        EventMapping({"userId": "a"}, ("a",))


def test_mapping_expressions_cannot_leave_their_sandbox() -> None:
    with pytest.raises(UnmappableRow):
        _event({"userId": "{{ a.__class__.__mro__[1].__subclasses__() }}"}, {"a": "1"})


def test_read_mapping_puts_files_and_pairs_together(tmp_path: Path) -> None:
    file = tmp_path / "shop.yml"
    file.write_text('eventName: type\nproperties:\n  page: url\n  revenue: "{{ a|decimal }}"\nproperties.x: y\n')

    mapping = read_mapping([str(file), "eventName={{ 'a=b' }}", "userId = user"])

    assert mapping == {
        "eventName": "{{ 'a=b' }}",
        "properties.page": "url",
        "properties.revenue": "{{ a|decimal }}",
        "properties.x": "y",
        "userId": "user",
    }


@pytest.mark.parametrize("content", ["- a\n", "eventName: [a]\n", "eventName: 5\n", "{", ""])
def test_read_mapping_refuses_a_file_of_another_shape(tmp_path: Path, content: str) -> None:
    file = tmp_path / "shop.yml"
    file.write_text(content)

    with pytest.raises(WrongMapping, match=r"shop\.yml"):
        read_mapping([str(file)])


@pytest.mark.parametrize("part", ["eventName", "missing.yml"])
def test_read_mapping_refuses_what_is_neither_pair_nor_file(part: str) -> None:
    with pytest.raises(WrongMapping, match=part):
        read_mapping([part])
