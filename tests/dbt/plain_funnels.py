"""The rules of funnels, told a second time in plain Python: every start is tried, one after the other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

Moment: TypeAlias = tuple[datetime, tuple[int, ...]]
"""When something happened, and the numbers of the steps that it can be."""

Chain: TypeAlias = tuple[int, list[datetime]]
"""The place of the last step among the moments, and the times of all steps."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """A declared funnel; each step is a set of event names."""

    name: str
    order: str
    window: timedelta
    steps: Sequence[Sequence[str]]

    def declaration(self) -> dict[str, object]:
        window = f"{self.window // timedelta(milliseconds=1)} milliseconds"
        return {"name": self.name, "order": self.order, "window": window, "steps": [list(step) for step in self.steps]}

    def entries(self, events: Iterable[tuple[str, datetime, str]]) -> Iterator[tuple[str, str, date, list[datetime]]]:
        """Funnel, visitor, entry day and the times of the steps, of events given as visitor, time and name."""
        moments: dict[str, list[Moment]] = defaultdict(list)
        for visitor, at, name in events:
            steps = tuple(number for number, names in enumerate(self.steps) if name in names)
            if steps or self.order == "strict":
                moments[visitor].append((at, steps))
        for visitor, unsorted in moments.items():
            ordered = sorted(unsorted, key=lambda moment: (moment[0], sum(2**step for step in moment[1])))
            starts = [
                place for place, (_, steps) in enumerate(ordered) if 0 in steps or (steps and self.order == "any")
            ]
            for day in {ordered[start][0].date() for start in starts}:
                chains = [self._chain(ordered, start) for start in starts if ordered[start][0].date() == day]
                yield self.name, visitor, day, min(chains, key=_precedence)[1]

    def _chain(self, moments: Sequence[Moment], start: int) -> Chain:
        times, last, done = [moments[start][0]], start, {moments[start][1][0] if self.order == "any" else 0}
        for place in range(start + 1, len(moments)):
            at, steps = moments[place]
            if at - times[0] > self.window:
                break
            fitting = [step for step in steps if (step not in done if self.order == "any" else step == len(times))]
            if fitting:
                times.append(at)
                last = place
                done.add(fitting[0])
            elif self.order == "strict":
                break
        if self.order == "any":
            # Of what happens at once nothing comes last.
            last = next(place for place, (at, _) in enumerate(moments) if at == times[-1])
        return last, times


def _precedence(chain: Chain) -> tuple[int, int, timedelta, list[datetime]]:
    """The deepest, of these the first that is complete, then the one that begins last, its steps as early as can be."""
    last, times = chain
    return -len(times), last, times[-1] - times[0], times
