"""All flags for one user at once.

What users who fulfil the same conditions get is worked out once, as a plan: answers that are settled, and splits, for
which the user's bucket is left to be looked at, and what prerequisites are. A rule that asks for more (a sticky
assignment, another hash) is left to the evaluation of its flag alone; the answers are the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from fnv_hash_fast import fnv1a_32

from flags.audiences import Audiences
from flags.conditions import Test
from flags.evaluate import MAX_PREREQUISITE_DEPTH
from flags.evaluation import Evaluation
from flags.hashing import Range, bucket_ranges

_MOST_ANSWERS = 250_000
"""In all plans together; when there are more, all plans are forgotten."""
_FEWEST = 4
"""Flags that are asked for by key for which a plan is less work than each of them."""
_BUCKETS, _PLACES = 10_000, 1000
"""Of hash version 2, and of version 1, which namespaces have."""

_Split: TypeAlias = Callable[[bytes, Sequence[Evaluation]], Evaluation | None]
"""The answer for a user's id and what other flags are; None where the next rule decides."""


@dataclass(frozen=True, slots=True)
class PlannedRule:
    """A rule of the specification, and the answer by the variation that was chosen."""

    document: Mapping[str, Any]
    answers: Sequence[Evaluation]


@dataclass(frozen=True, slots=True)
class PlannedFlag:
    """A flag: one answer for everybody, or rules and what remains."""

    key: str
    default: Evaluation
    fixed: Evaluation | None = None
    rules: Sequence[PlannedRule] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    answers: list[Evaluation]
    rollouts: list[tuple[int, bytes, int, Evaluation]] = field(default_factory=list)
    """Of a flag at this place: the seed, below which of 10,000 buckets the answer is another one, and that."""
    choices: list[tuple[int, bytes, Sequence[int], Sequence[Evaluation]]] = field(default_factory=list)
    """Of a flag: the seed, the buckets at which another answer begins, and the answers; one more than these."""
    others: list[tuple[int, str]] = field(default_factory=list)
    """Flags that are evaluated alone."""
    splits: list[tuple[int, tuple[_Split, ...]]] = field(default_factory=list)
    """Prerequisites before those that need them."""


@dataclass(frozen=True, slots=True)
class _Rule:
    bit: int
    """That of its condition, 0 without one."""
    settled: Evaluation | None
    """The answer where the condition is enough."""
    rollout: tuple[bytes, int, Evaluation] | None
    split: _Split | None
    choice: tuple[bytes, Sequence[int], Sequence[Evaluation | None]] | None = None
    """What the split looks up, where it does nothing else."""


class Plans:
    """The plans of all flags between two moments at which something may change."""

    def __init__(self, flags: Sequence[PlannedFlag], compiled: Callable[[Any], Test]) -> None:
        self._flags = flags
        self._depths = _depths(flags)
        self._places = places = {one.key: place for place, one in enumerate(flags)}
        conditions: dict[bytes, int] = {}
        written = []
        self._rules: list[tuple[_Rule, ...]] = []
        for flag in flags:
            rules = []
            for rule in flag.rules if flag.fixed is None else ():
                condition = rule.document.get("condition")
                bit = 0
                if condition:
                    text = msgspec.json.encode(condition)
                    if text not in conditions:
                        conditions[text] = len(conditions)
                        written.append(condition)
                    bit = 1 << conditions[text]
                parents = [
                    (places.get(one["id"]), compiled(one["condition"]))
                    for one in rule.document.get("parentConditions", ())
                ]
                rules.append(_rule(rule, bit, parents if flag.key in self._depths else None))
            self._rules.append(tuple(rules))
        self._audiences = Audiences(written, compiled)
        self._plans: dict[int | tuple[int, tuple[str, ...]], _Plan] = {}
        self._planned_answers = 0

    def are_worth_it(self, keys: Sequence[str] | None) -> bool:
        """Whether there is a plan for the flags of these keys; None are all."""
        return keys is None or (len(keys) >= _FEWEST and all(one in self._places for one in keys))

    def evaluate(
        self,
        attributes: dict[str, Any],
        user_id: str,
        alone: Callable[[str], Evaluation],
        keys: tuple[str, ...] | None = None,
    ) -> list[Evaluation]:
        """Flags for a user, in their order.

        Args:
            attributes: the user's.
            user_id: in ASCII, not empty: as it is hashed.
            alone: evaluates one flag.
            keys: which flags, each of them known here; None are all.
        """
        holding = self._audiences.of(attributes)
        if keys is None:
            plan = self._plans.get(holding) or self._planned(holding)
        else:
            plan = self._plans.get((holding, keys)) or self._picked(holding, keys)
        answers = plan.answers.copy()
        hashed = user_id.encode()
        for place, seed, below, answer in plan.rollouts:
            if fnv1a_32(b"%d" % fnv1a_32(seed + hashed)) % _BUCKETS < below:
                answers[place] = answer
        for place, seed, bounds, outcomes in plan.choices:
            bucket = fnv1a_32(b"%d" % fnv1a_32(seed + hashed)) % _BUCKETS
            answers[place] = outcomes[bisect_right(bounds, bucket)]
        for place, key in plan.others:
            answers[place] = alone(key)
        for place, splits in plan.splits:
            for split in splits:
                chosen = split(hashed, answers)
                if chosen is not None:
                    answers[place] = chosen
                    break
        return answers

    def _planned(self, holding: int) -> _Plan:
        plan = _Plan([one.default if one.fixed is None else one.fixed for one in self._flags])
        for place, rules in enumerate(self._rules):
            self._place(plan, place, [one for one in rules if not one.bit or one.bit & holding])
        plan.splits.sort(key=lambda one: self._depths[self._flags[one[0]].key])
        return self._kept(holding, plan)

    def _picked(self, holding: int, keys: tuple[str, ...]) -> _Plan:
        """The plan of some flags. One with prerequisites is evaluated alone: they may not be among them."""
        whole = self._plans.get(holding) or self._planned(holding)
        rollouts = {place: (seed, below, answer) for place, seed, below, answer in whole.rollouts}
        choices = {place: (seed, bounds, outcomes) for place, seed, bounds, outcomes in whole.choices}
        splits, others = dict(whole.splits), dict(whole.others)
        places = [self._places[key] for key in keys]
        plan = _Plan([whole.answers[place] for place in places])
        for number, (place, key) in enumerate(zip(places, keys, strict=True)):
            if place in rollouts:
                plan.rollouts.append((number, *rollouts[place]))
            elif place in choices:
                plan.choices.append((number, *choices[place]))
            elif place in others or (place in splits and self._depths[key]):
                plan.others.append((number, key))
            elif place in splits:
                plan.splits.append((number, splits[place]))
        return self._kept((holding, keys), plan)

    def _kept(self, what: int | tuple[int, tuple[str, ...]], plan: _Plan) -> _Plan:
        self._planned_answers += len(plan.answers)
        if self._planned_answers > _MOST_ANSWERS:
            self._plans.clear()
            self._planned_answers = len(plan.answers)
        self._plans[what] = plan
        return plan

    def _place(self, plan: _Plan, place: int, rules: Sequence[_Rule]) -> None:
        """Put a flag into a plan; the conditions of these rules hold."""
        splits: list[_Split] = []
        for number, rule in enumerate(rules):
            if rule.settled is not None:
                plan.answers[place] = rule.settled
                break
            if rule.split is None:
                plan.others.append((place, self._flags[place].key))
                return
            if rule.rollout is not None and number == len(rules) - 1 and not splits:
                plan.rollouts.append((place, *rule.rollout))
                return
            if rule.choice is not None and number == len(rules) - 1 and not splits:
                seed, bounds, outcomes = rule.choice
                default = plan.answers[place]
                plan.choices.append((place, seed, bounds, [default if one is None else one for one in outcomes]))
                return
            splits.append(rule.split)
        if splits:
            plan.splits.append((place, tuple(splits)))


def _rule(rule: PlannedRule, bit: int, parents: Sequence[tuple[int | None, Test]] | None) -> _Rule:
    """`parents` are places of prerequisites and what their values must be; None where they need each other."""
    document, answers = rule.document, rule.answers
    left_alone = _Rule(bit, None, None, None)
    if "filters" in document or parents is None:
        return left_alone
    if "force" in document and "coverage" not in document:
        answer = answers[0]
        return _Rule(bit, None, None, _gated(parents, lambda *_: answer)) if parents else _Rule(bit, answer, None, None)
    seed, ranges = document.get("seed", ""), _ranges(document)
    if document.get("hashAttribute") != "id" or document.get("hashVersion") != 2 or not seed.isascii() or not ranges:
        return left_alone
    bounds, outcomes = _outcomes(ranges, answers)
    split = _split(seed.encode(), bounds, outcomes)
    if namespace := document.get("namespace"):
        if not namespace[0].isascii():
            return left_alone
        split = _within(namespace, split)
    if parents:
        return _Rule(bit, None, None, _gated(parents, split))
    rollout = (seed.encode(), _buckets_below(ranges[0][1], _BUCKETS), answers[0]) if "force" in document else None
    return _Rule(bit, None, rollout, split, None if namespace else (seed.encode(), bounds, outcomes))


def _ranges(document: Mapping[str, Any]) -> Sequence[Range]:
    """Which buckets get which answer; none where this is not all that decides."""
    if "force" in document:
        lowest, highest = document.get("range", (1, 0))
        return [(lowest, highest)] if lowest == 0 else []
    variations = document.get("variations") or ()
    if len(variations) < 2 or not document.get("disableStickyBucketing"):
        return []
    return bucket_ranges(len(variations), document.get("coverage", 1), document.get("weights"))


def _split(seed: bytes, bounds: Sequence[int], outcomes: Sequence[Evaluation | None]) -> _Split:
    def split(hashed: bytes, _: Sequence[Evaluation]) -> Evaluation | None:
        return outcomes[bisect_right(bounds, fnv1a_32(b"%d" % fnv1a_32(seed + hashed)) % _BUCKETS)]

    return split


def _outcomes(
    ranges: Sequence[Range], answers: Sequence[Evaluation]
) -> tuple[Sequence[int], Sequence[Evaluation | None]]:
    """From which bucket on which answer is given, and which one below the first of these; the first range wins."""
    bounds: list[int] = []
    outcomes: list[Evaluation | None] = [None]
    for (start, end), answer in zip(ranges, answers, strict=False):
        first, last = _buckets_below(start, _BUCKETS), _buckets_below(end, _BUCKETS)
        first = max(first, bounds[-1]) if bounds else first
        if first < last:
            bounds += first, last
            outcomes += answer, None
    return bounds, outcomes


def _within(namespace: Sequence[Any], split: _Split) -> _Split:
    """For users whose place in a namespace is in its range: hash version 1, in steps of a thousandth."""
    name, low, high = namespace
    space = f"__{name}".encode()
    first, last = _buckets_below(low, _PLACES), _buckets_below(high, _PLACES)

    def within(hashed: bytes, known: Sequence[Evaluation]) -> Evaluation | None:
        return split(hashed, known) if first <= fnv1a_32(hashed + space) % _PLACES < last else None

    return within


def _gated(parents: Sequence[tuple[int | None, Test]], split: _Split) -> _Split:
    def gated(hashed: bytes, known: Sequence[Evaluation]) -> Evaluation | None:
        for place, test in parents:
            if not test({"value": None if place is None else known[place].value}):
                return None
        return split(hashed, known)

    return gated


def _buckets_below(bound: float, count: int) -> int:
    """How many of so many buckets are below a bound."""
    return bisect_left(range(count), bound, key=lambda number: number / count)


def _depths(flags: Sequence[PlannedFlag]) -> dict[str, int]:
    """How many flags in a row each one needs; those are missing whose prerequisites do not end."""
    parents = {
        flag.key: {
            parent["id"]
            for rule in flag.rules
            if flag.fixed is None
            for parent in rule.document.get("parentConditions", ())
        }
        for flag in flags
    }
    depths: dict[str, int] = {}
    left = dict(parents)
    for depth in range(MAX_PREREQUISITE_DEPTH // 2):
        ready = [key for key, needed in left.items() if all(one in depths or one not in parents for one in needed)]
        if not ready:
            break
        for key in ready:
            del left[key]
        depths.update(dict.fromkeys(ready, depth))
    return depths
