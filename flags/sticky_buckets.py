"""Variations that users keep although weights or conditions have changed since: the specification's sticky buckets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class StickyBuckets:
    """What a user was assigned, by document.

    A document belongs to one value of one attribute: `{"attributeName": "id", "attributeValue": "u1", "assignments":
    {"<experiment>__<bucket version>": "<variation key>"}}`, kept under `id||u1`. The caller loads the documents of a
    user before an evaluation and stores `changed` after it.
    """

    documents: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    changed: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> "StickyBuckets":
        """Return those of stored documents."""
        return cls({document_key(one["attributeName"], one["attributeValue"]): one for one in documents})

    def assignments(self, keys: Iterable[str]) -> dict[str, str]:
        """What the documents of these keys say; the first key wins."""
        merged: dict[str, str] = {}
        for key in keys:
            for name, variation in (self.documents.get(key, {}).get("assignments") or {}).items():
                merged.setdefault(name, variation)
        return merged

    def assign(self, attribute: str, value: str, experiment: str, variation: str) -> None:
        """Keep a variation; nothing changes when it is the one that is kept already."""
        key = document_key(attribute, value)
        before = self.documents.get(key, {}).get("assignments") or {}
        if before.get(experiment) == variation:
            return
        assignments = {**before, experiment: variation}
        document = {"attributeName": attribute, "attributeValue": value, "assignments": assignments}
        self.documents[key] = self.changed[key] = document


def document_key(attribute: str, value: str) -> str:
    """Under which key a document is kept."""
    return f"{attribute}||{value}"


def experiment_key(key: str, bucket_version: int) -> str:
    """Name of an assignment: with another bucket version, users are assigned anew."""
    return f"{key}__{bucket_version}"
