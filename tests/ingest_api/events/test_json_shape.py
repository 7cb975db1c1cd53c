import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api.events.json_shape import has_more_items_than, is_deeper_than

_texts = st.text(st.sampled_from('[]{},"\\a'), max_size=6)
_values = st.recursive(
    st.none() | _texts | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=40,
)


def _depth(value: object) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


@example({"": []}, 1)
@example([{}], 1)
@given(_values, st.integers(1, 12))
def test_depth_is_that_of_the_decoded_value(value: object, levels: int) -> None:
    assert is_deeper_than(levels, json.dumps(value).encode()) == (_depth(value) > levels)


@pytest.mark.parametrize("depth", [1, 2, 5, 127, 128, 129, 20_000])
@pytest.mark.parametrize("beside", ["", "[]," * 300, '{"a":{"b":[1]}},' * 300, '"[[",' * 300])
def test_depth_is_found_among_many_brackets(depth: int, beside: str) -> None:
    text = f"[{beside}{'[' * (depth - 1)}{']' * (depth - 1)}1]" if depth > 1 else f"[{beside.rstrip(',')}]"
    assert is_deeper_than(128, text.encode()) == (depth > 128)


@given(st.lists(_values, max_size=8), st.integers(1, 9))
def test_items_are_counted_without_those_within(values: list[object], count: int) -> None:
    assert has_more_items_than(count, json.dumps(values).encode()) == (len(values) > count)
