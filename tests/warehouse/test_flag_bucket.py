"""The hash of flags as SQL: who would be in at 40 %, asked of the warehouse, is who is in."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.hashing import bucket_of, fnv1a32
from tests.conftest import Gateway, fresh_settings
from warehouse.client import Client, connect

# Half a surrogate pair is in no text that the service takes.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.fixture(scope="module")
def migrated(gateway: Gateway) -> Client:
    """A server on which the migrations have run; the functions belong to the whole server."""
    return connect(fresh_settings(gateway))


def buckets_in_sql(client: Client, pairs: Sequence[tuple[str, str]]) -> list[float]:
    rows = client.query(
        "SELECT flag_bucket(one.1, one.2) FROM (SELECT arrayJoin({pairs:Array(Tuple(String, String))}) AS one)",
        parameters={"pairs": list(pairs)},
    ).result_rows
    return [row[0] for row in rows]


@settings(max_examples=100)
@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20))
def test_sql_and_python_put_users_into_the_same_buckets(migrated: Client, pairs: list[tuple[str, str]]) -> None:
    assert buckets_in_sql(migrated, pairs) == [bucket_of(seed, user_id, 2) for seed, user_id in pairs]


@pytest.mark.parametrize(
    "pair",
    [
        ("", ""),
        ("new_feature", "user123"),
        ("caf\u00e9", "ü"),
        ("\U0001f600", "\U0010ffff"),
        ("a\x00b", "\x00"),
        ("'quoted\\'", '"\n\t'),
        ("\ufeff", "\ufffe"),
        ("x" * 500, "ж" * 500),
    ],
)
def test_sql_and_python_agree_on_text_that_is_easily_read_wrong(migrated: Client, pair: tuple[str, str]) -> None:
    assert buckets_in_sql(migrated, [pair]) == [bucket_of(*pair, 2)]


def test_sql_hashes_thousands_of_users_as_python_does(migrated: Client) -> None:
    rows = migrated.query(
        "WITH concat('user', toString(number)) AS name "
        "SELECT flag_fnv1a(name), flag_bucket('new_feature', name) FROM numbers(20000) ORDER BY number"
    ).result_rows

    names = [f"user{number}" for number in range(20_000)]
    assert [tuple(row) for row in rows] == [(fnv1a32(name), bucket_of("new_feature", name, 2)) for name in names]
