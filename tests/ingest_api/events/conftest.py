"""An environment of its own in the shared Valkey, for tests that need no warehouse."""

import secrets
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.conftest import Valkey


@pytest.fixture
def environment() -> str:
    return f"test_{secrets.token_hex(4)}"


@pytest.fixture
def redis(valkey: Valkey) -> Iterator[Redis]:
    with Redis.from_url(valkey.url) as redis:
        yield redis
