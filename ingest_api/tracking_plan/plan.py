"""The plan as a whole: read from its files, asked about each event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingest_api.tracking_plan.checking import EventCheck, Violation
from ingest_api.tracking_plan.declarations import EventPlan, Mode
from ingest_api.tracking_plan.plan_files import PlanInvalid, read_plan_files
from warehouse.raw_events import FRESHNESS_PROBE

__all__ = ["PlanInvalid", "TrackingPlan", "Violation", "load_plan"]


@dataclass(frozen=True, slots=True, eq=False)
class TrackingPlan:
    """Every planned event, and what to do with those that are not."""

    events: Mapping[str, EventPlan]
    """By name, in the order of the files."""
    files: Mapping[str, str]
    """The name of the file in which an event is declared, by the event's name."""
    unknown_events: Mode = "off"
    _checks: Mapping[str, EventCheck] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        checks = {name: EventCheck(event) for name, event in self.events.items() if event.mode != "off"}
        object.__setattr__(self, "_checks", checks)

    def mode(self, event_name: str) -> Mode:
        """How strictly events of this name are held to the plan."""
        event = self.events.get(event_name)
        if event is not None:
            return event.mode
        return "off" if event_name == FRESHNESS_PROBE else self.unknown_events

    def check(self, event_name: str, properties: str) -> tuple[Violation, ...]:
        """Compare an event with its plan.

        Args:
            event_name: without space around it.
            properties: JSON object as text.

        Returns:
            What is not as planned, at most `checking.MAX_VIOLATIONS`; nothing for an event in mode off.
        """
        check = self._checks.get(event_name)
        if check is not None:
            return check(properties)
        if event_name in self.events or (mode := self.mode(event_name)) == "off":
            return ()
        message = f"{event_name} is not in the tracking plan."
        return (Violation("plan_event_unknown", "eventName", message, mode == "enforce"),)


def load_plan(directory: Path) -> TrackingPlan:
    """Read and compile `*.yml` of a directory; milliseconds.

    Raises:
        PlanInvalid: there is no such directory, or a file breaks the rules of a plan.
    """
    files = read_plan_files(directory)
    declared = {event.name: (event, name) for name, file in files.items() for event in file.events}
    unknown_events = next((file.unknown_events for file in files.values() if file.unknown_events), None)
    return TrackingPlan(
        {name: event for name, (event, _) in declared.items()},
        {name: file for name, (_, file) in declared.items()},
        unknown_events or "off",
    )
