"""Whether what a flag refers to exists, and whether prerequisites come to an end."""

from collections.abc import Iterable, Iterator, Mapping

from flags.model import Flag, Segment
from flags.problems import DefinitionInvalid, Problem

MAX_PREREQUISITE_CHAIN = 20
"""Most flags that need one another in a row."""


def prerequisites_of(flag: Flag) -> Iterator[tuple[str, str]]:
    """The flags that a flag needs, each with the field that says so."""
    for index, one in enumerate(flag.prerequisites):
        yield f"prerequisites[{index}].flag", one.flag
    for number, rule in enumerate(flag.rules):
        for index, one in enumerate(rule.prerequisites):
            yield f"rules[{number}].prerequisites[{index}].flag", one.flag


def prerequisite_cycle(flags: Mapping[str, Flag]) -> tuple[str, ...]:
    """The keys of flags that need each other, the first one again at the end; empty when there are none."""
    done: set[str] = set()
    for start in flags:
        cycle = _cycle_from(start, flags, done)
        if cycle:
            return cycle
    return ()


def check_references(flag: Flag, flags: Mapping[str, Flag], segments: Mapping[str, Segment]) -> None:
    """Refuse a flag that refers to what does not exist, or that would make prerequisites endless.

    Args:
        flag: as it is to be written.
        flags: all flags by key, in any state of this one.
        segments: all segments by key.

    Raises:
        DefinitionInvalid: with every reference that is wrong, and the cycle by name.
    """
    after = {**flags, flag.key: flag}
    problems = [*missing_references(flag, after, segments), *endless_prerequisites(after, [flag.key])]
    if problems:
        raise DefinitionInvalid(problems)


def missing_references(flag: Flag, flags: Mapping[str, Flag], segments: Mapping[str, Segment]) -> Iterator[Problem]:
    """What a flag refers to and is not there."""
    for field, key in prerequisites_of(flag):
        if key not in flags:
            yield Problem(field, "flag_unknown", f"There is no flag {key}; create it first.")
    for number, rule in enumerate(flag.rules):
        for index, key in enumerate(rule.segments):
            if key not in segments:
                field = f"rules[{number}].segments[{index}]"
                yield Problem(field, "segment_unknown", f"There is no segment {key}; create it first.")


def endless_prerequisites(flags: Mapping[str, Flag], starts: Iterable[str]) -> Iterator[Problem]:
    """A cycle that can be reached from one of these flags, or else a chain that is too long."""
    done: set[str] = set()
    cycle = next((found for start in starts if (found := _cycle_from(start, flags, done))), ())
    if cycle:
        message = f"These flags need each other: {' -> '.join(cycle)}. Take one of these prerequisites away."
        yield Problem("prerequisites", "prerequisite_cycle", message)
    elif (length := _longest_chain(flags)) > MAX_PREREQUISITE_CHAIN:
        message = f"{length} flags would need one another in a row; keep to {MAX_PREREQUISITE_CHAIN}."
        yield Problem("prerequisites", "prerequisite_cycle", message)


def flags_needing(key: str, flags: Mapping[str, Flag]) -> list[str]:
    """The flags that have this one as a prerequisite: what breaks when it is deleted."""
    return [one.key for one in flags.values() if any(key == needed for _, needed in prerequisites_of(one))]


def flags_using(segment: str, flags: Mapping[str, Flag]) -> list[str]:
    """The flags with a rule for this segment: what breaks when it is deleted."""
    return [one.key for one in flags.values() if any(segment in rule.segments for rule in one.rules)]


def _needed(key: str, flags: Mapping[str, Flag]) -> Iterator[str]:
    flag = flags.get(key)
    return iter(()) if flag is None else (one for _, one in prerequisites_of(flag))


def _cycle_from(start: str, flags: Mapping[str, Flag], done: set[str]) -> tuple[str, ...]:
    """A cycle that can be reached from a flag. `done` are flags from which none can."""
    path, open_branches = [start], [_needed(start, flags)]
    while path:
        key = next(open_branches[-1], None)
        if key is None:
            done.add(path.pop())
            open_branches.pop()
        elif key in path:
            return (*path[path.index(key) :], key)
        elif key not in done:
            path.append(key)
            open_branches.append(_needed(key, flags))
    return ()


def _longest_chain(flags: Mapping[str, Flag]) -> int:
    """Most flags in a row; there is no cycle among those that can be reached from each other."""
    lengths: dict[str, int] = {}
    for start in flags:
        path, open_branches = [start], [_needed(start, flags)]
        while path:
            key = next(open_branches[-1], None)
            if key is None:
                own = path.pop()
                open_branches.pop()
                lengths[own] = 1 + max((lengths.get(one, 0) for one in _needed(own, flags)), default=0)
            elif key not in lengths and key not in path:
                path.append(key)
                open_branches.append(_needed(key, flags))
    return max(lengths.values(), default=0)
