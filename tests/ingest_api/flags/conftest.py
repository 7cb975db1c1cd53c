"""An API without definitions, whose client may change them."""

from collections.abc import Iterator

import pytest

from ingest_api.auth.roles import Role
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import bearer, token_for, write_key_for

FLAGS, SEGMENTS = "/api/feature-flags/flags", "/api/feature-flags/segments"
APPLY, EVALUATE = "/api/feature-flags/apply", "/api/feature-flags/evaluate"


@pytest.fixture
def flags(api: Api) -> Iterator[Api]:
    """Its client sends an editor's token."""
    api.client.headers.update(bearer(token_for(api.settings, Role.EDITOR)))
    emptied = api.client.post(APPLY, params={"prune": True}, json={"flags": [], "segments": []})
    assert emptied.status_code == 200, emptied.text
    yield api
    del api.client.headers["authorization"]


@pytest.fixture(scope="module")
def write_key(api: Api) -> dict[str, str]:
    """The header of a write key."""
    return {"x-write-key": write_key_for(api.settings, api.environment)[0]}
