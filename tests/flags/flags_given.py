"""Flags, segments and users for tests, and the cases of the specification."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flags.codec import decode_flag, decode_segment
from flags.experiments import Overrides, User
from flags.model import Flag, Segment
from flags.ruleset import Ruleset, user_of
from flags.sticky_buckets import StickyBuckets

VECTORS = json.loads((Path(__file__).parent / "vectors" / "growthbook_sdk_spec.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CUSTOMERS_FLAG = {
    "name": "New Feature",
    "key": "new_feature",
    "type": "boolean",
    "isEnabled": True,
    "value": True,
    "rolloutPercentage": 50,
    "createdBy": "admin",
}


def named(cases: list[Any]) -> dict[str, Any]:
    """Cases as arguments of `parametrize`, each called by its first member."""
    return {"argvalues": cases, "ids": [f"{index}-{str(case[0])[:60]}" for index, case in enumerate(cases)]}


def flag(key: str = "flag", **members: Any) -> Flag:
    return decode_flag({"key": key, **members})


def segment(key: str, *conditions: dict[str, Any]) -> Segment:
    return decode_segment({"key": key, "conditions": list(conditions)})


def ruleset(*flags: Flag, segments: tuple[Segment, ...] = ()) -> Ruleset:
    return Ruleset(flags, segments)


def user_of_case(context: dict[str, Any]) -> User:
    """The user of a case's context."""
    return User(
        attributes=context.get("attributes", {}),
        overrides=Overrides(
            url=context.get("url", ""),
            variations=context.get("forcedVariations", {}),
            experiments=context.get("overrides", {}),
            is_enabled=context.get("enabled", True),
            is_quality_assurance=context.get("qaMode", False),
        ),
    )


def people(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Attributes of users as apps send them: some are missing, some are null, some ids are numbers or not ASCII."""
    chance = random.Random(seed)

    def person(index: int) -> dict[str, Any]:
        one = {
            "id": chance.choice(
                [f"user-{index}", f"user-{index}", str(index), index + 1, f"Zoë-{index}", f"👩-{index}"]
            ),
            "company": f"company-{index % 40}",
            "device": f"device-{index}",
            "country": chance.choice(["US", "CA", "DE", "us", ""]),
            "plan": chance.choice(["premium", "pro", "free", None]),
            "age": chance.choice([0, 17, 18, 18.5, 40, -1]),
            "isMember": chance.choice([True, False]),
            "version": chance.choice(["1.9.0", "1.10.0", "2.0.0-beta.1", "v2.0.0", "2.0.0"]),
            "email": chance.choice(["ann@example.com", "bob@EXAMPLE.com", "eve@other.org"]),
            "tags": chance.choice([["a", "b"], ["beta"], [], ["b", "beta"]]),
            "signedUpAt": chance.choice(["2025-01-01T00:00:00Z", "2026-03-01T00:00:00Z"]),
            "address": chance.choice([{"city": "Berlin", "floors": [1, 2]}, {"city": None}, {}]),
        }
        for name in chance.sample(sorted(one.keys() - {"id"}), chance.randint(0, 4)):
            del one[name]
        if not chance.randrange(50):
            del one["id"]
        return one

    return [person(index) for index in range(count)]


def user(user_id: str | None = "ann", *, sticky: StickyBuckets | None = None, **attributes: Any) -> User:
    return user_of(user_id, attributes, sticky)
