"""Our definitions in the specification's form."""

from typing import Any

import pytest

from flags.codec import decode_flag
from flags.specification import sticky_attributes


def flag(**rule: Any) -> Any:
    members = {"id": "split", "variations": ["a", "b"], **rule}
    return decode_flag({"key": "checkout", "type": "string", "value": "a", "rules": [members]})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, set()),
        ({"sticky": True}, {"id"}),
        ({"sticky": True, "hashAttribute": "userId"}, {"id"}),
        ({"sticky": True, "hashAttribute": "company"}, {"company"}),
        ({"sticky": True, "hashAttribute": "company", "fallbackAttribute": "device"}, {"company", "device"}),
    ],
)
def test_sticky_attributes_are_those_by_which_assignments_are_kept(rule: dict[str, Any], expected: set[str]) -> None:
    assert sticky_attributes([flag(**rule), flag()]) == expected
