"""An API without experiments, whose client may change them and flags."""

from collections.abc import Iterator

import pytest

from ingest_api.auth.roles import Role
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import bearer, token_for

TESTS = "/api/feature-flags/ab-tests"
FLAGS = "/api/feature-flags/flags"


@pytest.fixture
def experiments(api: Api) -> Iterator[Api]:
    """Its client sends an editor's token."""
    api.client.headers.update(bearer(token_for(api.settings, Role.EDITOR)))
    for one in api.client.get(TESTS).json()["items"]:
        path = f"{TESTS}/{one['id']}"
        if one["status"] == "running":
            api.client.post(f"{path}/pause")
        if one["status"] != "archived":
            api.client.post(f"{path}/archive")
        assert api.client.delete(path).status_code == 204
    yield api
    del api.client.headers["authorization"]
