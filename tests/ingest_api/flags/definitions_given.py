"""Definitions made over HTTP for a test."""

from typing import Any

import httpx

from tests.ingest_api.flags.conftest import FLAGS, SEGMENTS

CUSTOMERS_FLAG = {
    "name": "New Feature",
    "key": "new_feature",
    "type": "boolean",
    "isEnabled": True,
    "value": True,
    "rolloutPercentage": 50,
    "createdBy": "admin",
}
BETA = {"key": "beta", "name": "Beta", "conditions": [{"attribute": "plan", "operator": "equals", "value": "beta"}]}


def created(client: httpx.Client, key: str = "dark_mode", **members: Any) -> dict[str, Any]:
    """A boolean flag, on for everybody where nothing else is said, as the API answers it."""
    answer = client.post(FLAGS, json={"key": key, "name": key, **members})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def created_segment(client: httpx.Client, **members: Any) -> dict[str, Any]:
    answer = client.post(SEGMENTS, json=BETA | members)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def for_segment(key: str) -> list[dict[str, Any]]:
    """Rules of a flag that is for the users of a segment."""
    return [{"id": "beta", "segments": [key], "force": True}]


def value_of(client: httpx.Client, key: str = "dark_mode", user_id: str = "u1", **attributes: Any) -> Any:
    answer = client.post(f"{FLAGS}/{key}/evaluate", json={"userId": user_id, "attributes": attributes})
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]
