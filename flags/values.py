"""What a flag of each type can be."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flags.fields import Problems, check_json
from flags.operators import type_of

TYPES = ("boolean", "string", "number", "json")
MAX_VALUE_DEPTH = 16
MAX_VALUE_BYTES = 65_536
"""Longest value, as UTF-8 JSON."""

_MUST_BE: Mapping[str, str] = {"boolean": "true or false", "string": "text", "number": "a number"}


def off_value(kind: str) -> bool | None:
    """What a flag is where it says nothing else."""
    return False if kind == "boolean" else None


def read_value(value: Any, kind: str, path: str, problems: Problems) -> Any:
    """A value of a flag of this type; None where there is none, or where it is wrong, which is noted."""
    if value is None:
        return None
    if kind in _MUST_BE and type_of(value) != kind:
        problems.add(path, "wrong_value_type", f"The flag is of type {kind}: this must be {_MUST_BE[kind]}.")
        return None
    if not check_json(value, path, problems, MAX_VALUE_DEPTH):
        return None
    size = len(msgspec.json.encode(value))
    if size > MAX_VALUE_BYTES:
        problems.add(path, "too_large", f"The value has {size:,} bytes; shorten it to {MAX_VALUE_BYTES:,}.")
        return None
    return value
