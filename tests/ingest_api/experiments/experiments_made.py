"""Experiments made over HTTP for a test."""

from typing import Any

import httpx

from tests.flags.experiments_given import document
from tests.ingest_api.experiments.conftest import TESTS


def created(client: httpx.Client, key: str = "prices", **members: Any) -> dict[str, Any]:
    """An experiment that runs where nothing else is said, as the API answers it."""
    answer = client.post(TESTS, json=document(**{"id": key, "status": "running", **members}))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def step(client: httpx.Client, key: str, name: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{TESTS}/{key}/{name}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def assigned(client: httpx.Client, key: str, user_id: str | int, **attributes: Any) -> dict[str, Any]:
    answer = client.post(f"{TESTS}/{key}/assign", json={"userId": user_id, "attributes": attributes})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
