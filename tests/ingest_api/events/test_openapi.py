import msgspec

from ingest_api.events.answers import Accepted, BatchVerdict
from ingest_api.events.openapi import openapi_paths
from ingest_api.events.payload import REJECTION_CODES, TrackEvent


def test_every_field_of_an_event_is_described() -> None:
    body = openapi_paths()["/api/analytics/track"]["post"]["requestBody"]
    described = body["content"]["application/json"]["schema"]["properties"]

    assert set(described) == {one.encode_name for one in msgspec.structs.fields(TrackEvent)}
    assert all(field["description"] for field in described.values())


def test_every_rejection_code_is_described() -> None:
    description = openapi_paths()["/api/analytics/track/batch"]["post"]["description"]

    assert all(f"`{code}`" in description for code in REJECTION_CODES)


def test_answers_are_described_as_they_are_encoded() -> None:
    paths = openapi_paths()

    for path, kind in (("/api/analytics/track", Accepted), ("/api/analytics/track/batch", BatchVerdict)):
        answer = paths[path]["post"]["responses"]["202"]["content"]["application/json"]["schema"]
        names = {one.encode_name for one in msgspec.structs.fields(kind)}
        assert names <= set(answer["properties"])
