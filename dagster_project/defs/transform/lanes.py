"""How often a table is built: each dbt model and seed is in one lane, which its dbt tags tell."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any


class Lane(StrEnum):
    """From the fastest to the slowest. A run of a slower lane builds the faster ones as well."""

    HOT = "hot"
    """When events have arrived, each five minutes at most."""
    HOURLY = "hourly"
    NIGHTLY = "nightly"


def lane_of(tags: Collection[str]) -> Lane:
    """The slowest lane among the tags, because a model may be slower than its folder; hourly without any."""
    return max((lane for lane in Lane if lane in tags), key=list(Lane).index, default=Lane.HOURLY)


def nightly_tests(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The dbt tests that read whole tables: their unique ids by the name under which dbt selects each.

    They are named because `tag:nightly` would also find every other test of a nightly table.
    """
    return {
        ".".join(node["fqn"]): unique_id
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "test" and Lane.NIGHTLY in node["tags"]
    }
