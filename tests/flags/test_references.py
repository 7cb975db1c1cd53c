"""References between flags and segments."""

import pytest

from flags.model import Flag
from flags.problems import DefinitionInvalid
from flags.references import (
    MAX_PREREQUISITE_CHAIN,
    check_references,
    flags_needing,
    flags_using,
    prerequisite_cycle,
)
from tests.flags.flags_given import flag, segment


def needing(key: str, *parents: str) -> Flag:
    return flag(key, prerequisites=[{"flag": one} for one in parents])


def by_key(*flags: Flag) -> dict[str, Flag]:
    return {one.key: one for one in flags}


def refused(one: Flag, *others: Flag) -> list[tuple[str, str, str]]:
    with pytest.raises(DefinitionInvalid) as caught:
        check_references(one, by_key(*others), {})
    return [(each.field, each.code, each.message) for each in caught.value.problems]


def test_cycle_is_refused_by_name() -> None:
    assert refused(needing("a", "b"), needing("b", "c"), needing("c", "x", "a"), flag("x")) == [
        ("prerequisites", "prerequisite_cycle", "These flags need each other: a -> b -> c -> a. Take one of these "
         "prerequisites away.")
    ]  # fmt: skip


def test_cycle_through_the_prerequisite_of_a_rule_is_refused() -> None:
    one = flag("a", rules=[{"prerequisites": [{"flag": "b"}]}])

    assert [code for _, code, _ in refused(one, needing("b", "a"))] == ["prerequisite_cycle"]


def test_cycle_among_all_flags_is_found() -> None:
    flags = by_key(needing("a", "b"), needing("b", "c", "d"), flag("c"), needing("d", "b"))

    assert prerequisite_cycle(flags) == ("b", "d", "b")
    assert prerequisite_cycle(by_key(needing("a", "b", "c"), needing("b", "c"), flag("c"))) == ()


def test_what_does_not_exist_is_named() -> None:
    one = flag("a", rules=[{"segments": ["adults"], "prerequisites": [{"flag": "x"}]}], prerequisites=[{"flag": "y"}])

    assert [(field, code) for field, code, _ in refused(one)] == [
        ("prerequisites[0].flag", "flag_unknown"),
        ("rules[0].prerequisites[0].flag", "flag_unknown"),
        ("rules[0].segments[0]", "segment_unknown"),
    ]


def test_chain_is_refused_when_it_is_long() -> None:
    chain = [needing(f"f{one}", f"f{one + 1}") for one in range(1, MAX_PREREQUISITE_CHAIN)]
    last = flag(f"f{MAX_PREREQUISITE_CHAIN}")

    check_references(chain[0], by_key(*chain, last), {})
    assert [code for _, code, _ in refused(needing("f0", "f1"), *chain, last)] == ["prerequisite_cycle"]


def test_good_references_pass_and_are_found_the_other_way_round() -> None:
    one = flag("a", rules=[{"segments": ["adults"]}], prerequisites=[{"flag": "b"}])
    flags, segments = by_key(one, flag("b")), {"adults": segment("adults", {"age": {"$gte": 18}})}

    check_references(one, flags, segments)

    assert flags_needing("b", flags) == ["a"]
    assert flags_using("adults", flags) == ["a"]
    assert flags_needing("a", flags) == flags_using("x", flags) == []
