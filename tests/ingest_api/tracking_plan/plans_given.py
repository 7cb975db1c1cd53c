"""Tracking plans for tests."""

from pathlib import Path

from ingest_api.tracking_plan.plan import TrackingPlan, load_plan

EVERY_TYPE = """
  - name: everything
    description: An event with a property of each type.
    owner: tests@example.com
    properties:
      - {name: "customer's word", type: string, required: true, description: Text.}
      - {name: size, type: string, enum: [S, M, "off"], description: One of some texts.}
      - {name: code, type: string, pattern: "^[A-Z]{3}$", description: Text of a form.}
      - {name: ratio, type: number, minimum: 0, maximum: 1, description: A number.}
      - {name: item-count, type: integer, minimum: 1, description: A whole number.}
      - {name: stars, type: integer, enum: [1, 2, 3], description: One of some numbers.}
      - {name: balance, type: integer, description: A whole number of any size.}
      - {name: amount, type: decimal, description: An amount.}
      - {name: isMember, type: boolean, description: A flag.}
      - {name: paidAt, type: timestamp, description: A moment.}
      - {name: basket, type: object, description: An object.}
      - {name: tags, type: array, description: A list.}
"""


def plan_of(directory: Path, events: str = EVERY_TYPE, settings: str = "") -> TrackingPlan:
    """A plan with these events, in a directory of its own; `settings` is the rest of `plan.yml`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "plan.yml").write_text(f"version: 1\n{settings}\n", encoding="utf-8")
    (directory / "events.yml").write_text(f"version: 1\nevents:\n{events}", encoding="utf-8")
    return load_plan(directory)
