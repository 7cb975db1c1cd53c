import pytest

from tests.dbt.oracle.streams import Streams, drawn_streams

STREAMS, SEED = 300, 20260131


@pytest.fixture(scope="session")
def streams(request: pytest.FixtureRequest) -> Streams:
    """Others come with `--hypothesis-seed`."""
    return drawn_streams(STREAMS, int(request.config.getoption("--hypothesis-seed") or SEED))
