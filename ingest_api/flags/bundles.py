"""All definitions as one document: to keep them in version control, and to bring an environment to what it says."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from flags.fields import MAX_PROBLEMS
from flags.model import Flag, Segment
from flags.problems import DefinitionInvalid, Problem
from flags.references import endless_prerequisites, missing_references
from flags.ruleset import Ruleset
from ingest_api.camel_model import CamelModel
from ingest_api.flags.changes import Author
from ingest_api.flags.definitions import FLAG, SEGMENT, Copy, Definition, name_of
from ingest_api.flags.editing import (
    Editor,
    Intention,
    decoded,
    deletions,
    encoded,
    found,
    kind_of,
    replacement,
)

KEPT_BY_THE_SERVICE = ("version", "createdAt", "createdBy", "updatedAt", "updatedBy")
"""Members of a definition that a bundle leaves out: they would differ in each environment."""
_MEMBERS = {"segments": SEGMENT, "flags": FLAG}


class AppliedChange(CamelModel):
    """What becomes of one definition."""

    kind: str = Field(examples=["flag"])
    key: str
    action: str = Field(description="`created`, `updated`, `deleted` or `unchanged`")
    members: list[str] = Field(description="The members that change, when it is updated")


class Applied(CamelModel):
    """What a bundle changes."""

    dry_run: bool = Field(description="Whether this is only what would happen")
    items: list[AppliedChange]


def bundle_of(copy: Copy) -> dict[str, Any]:
    """All flags and segments, by key."""
    return {
        "segments": [portable(copy.ruleset.segments[key]) for key in sorted(copy.ruleset.segments)],
        "flags": [portable(copy.ruleset.flags[key]) for key in sorted(copy.ruleset.flags)],
    }


def portable(definition: Definition) -> dict[str, Any]:
    """A definition without what the service keeps of it."""
    return {name: value for name, value in encoded(definition).items() if name not in KEPT_BY_THE_SERVICE}


async def apply_bundle(
    editor: Editor, bundle: Mapping[str, Any], author: Author, *, is_dry_run: bool, prunes: bool
) -> Applied:
    """Bring definitions to what a bundle says, all or nothing.

    Raises:
        DefinitionInvalid: with every problem of every definition; fields begin with `flags[3]` or `segments[0]`.
        Conflict: a definition that would be deleted is needed by one that stays.
        DefinitionsAway: see `Editor`.
    """
    wanted = read_bundle(bundle)
    planned: list[AppliedChange] = []

    def judge(copy: Copy) -> list[Intention]:
        after = _after(copy, wanted, prunes)
        _check(after, wanted)
        intentions = list(_intentions(copy, after, wanted, prunes))
        planned[:] = [_described(copy, one) for one in intentions]
        return [] if is_dry_run else [one for one in intentions if one.action != "unchanged"]

    await editor.make(judge, author)
    return Applied(dry_run=is_dry_run, items=planned)


def read_bundle(bundle: Mapping[str, Any]) -> list[Definition]:
    """The definitions of a bundle, segments first. Raises `DefinitionInvalid`."""
    problems = [
        Problem(name, "field_unknown", "A bundle has flags and segments.") for name in bundle if name not in _MEMBERS
    ]
    read: list[Definition] = []
    for member, kind in _MEMBERS.items():
        documents = [] if bundle.get(member) is None else bundle[member]
        if not isinstance(documents, list):
            problems.append(Problem(member, "wrong_type", "It is a list."))
            continue
        for index, document in enumerate(documents):
            try:
                read.append(decoded(kind, document))
            except DefinitionInvalid as error:
                problems += [_within(one, f"{member}[{index}]") for one in error.problems]
    counts = Counter(name_of(kind_of(one), one.key) for one in read)
    problems += [Problem("", "duplicate", f"{name} is there twice.") for name, count in counts.items() if count > 1]
    if problems:
        raise DefinitionInvalid(problems[:MAX_PROBLEMS])
    return read


def _within(problem: Problem, path: str) -> Problem:
    return replace(problem, field=f"{path}.{problem.field}" if problem.field else path)


def _after(copy: Copy, wanted: Iterable[Definition], prunes: bool) -> Copy:
    """What there will be: references are judged by it."""
    flags = {} if prunes else dict(copy.ruleset.flags)
    segments = {} if prunes else dict(copy.ruleset.segments)
    for one in wanted:
        if isinstance(one, Flag):
            flags[one.key] = one
        elif isinstance(one, Segment):
            segments[one.key] = one
    return replace(copy, ruleset=Ruleset(flags.values(), segments.values(), copy.ruleset.version))


def _check(after: Copy, wanted: Iterable[Definition]) -> None:
    flags, segments = after.ruleset.flags, after.ruleset.segments
    wanted_flags = [one for one in wanted if isinstance(one, Flag)]
    problems = [
        _within(problem, f"flags[{index}]")
        for index, flag in enumerate(wanted_flags)
        for problem in missing_references(flag, flags, segments)
    ]
    problems += endless_prerequisites(flags, flags)
    if problems:
        raise DefinitionInvalid(problems[:MAX_PROBLEMS])


def _intentions(before: Copy, after: Copy, wanted: Iterable[Definition], prunes: bool) -> Iterator[Intention]:
    for one in wanted:
        stored, name = found(before, one), name_of(kind_of(one), one.key)
        if stored is None:
            yield Intention(name, "created", portable(one))
        elif portable(stored) == portable(one):
            yield Intention(name, "unchanged", portable(one))
        else:
            yield replacement(one, stored, "updated")
    if prunes:
        for key in sorted(before.ruleset.flags.keys() - after.ruleset.flags.keys()):
            yield from deletions(before, FLAG, key, after.ruleset.flags)
        for key in sorted(before.ruleset.segments.keys() - after.ruleset.segments.keys()):
            yield from deletions(before, SEGMENT, key, after.ruleset.flags)


def _described(copy: Copy, intention: Intention) -> AppliedChange:
    kind, _, key = intention.name.partition(":")
    members: list[str] = []
    if intention.action == "updated" and intention.document is not None:
        stored: Flag | Segment = (copy.ruleset.flags if kind == FLAG else copy.ruleset.segments)[key]
        before = portable(stored)
        members = sorted(
            name
            for name in before.keys() | intention.document.keys()
            if name not in KEPT_BY_THE_SERVICE and before.get(name) != intention.document.get(name)
        )
    return AppliedChange(kind=kind, key=key, action=intention.action, members=members)
