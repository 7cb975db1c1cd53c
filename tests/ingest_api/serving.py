"""A real API server for tests, and credentials to call it with."""

import asyncio
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx
import uvicorn

from ingest_api.app import create_app
from ingest_api.auth.access_store import AccessStore
from ingest_api.auth.roles import Role
from ingest_api.auth.tokens import TokenClaims, new_claims, sign
from ingest_api.auth.write_keys import new_write_key
from ingest_api.config import ApiSettings
from ingest_api.server import ApiServer
from ingest_api.services import valkey_client
from local_stack.processes import free_port
from warehouse.config import WarehouseSettings

Answer = TypeVar("Answer")


def api_settings(redis_url: str) -> ApiSettings:
    return ApiSettings(redis_url=redis_url, jwt_secret=secrets.token_hex(32), port=free_port())


def nowhere() -> WarehouseSettings:
    """An environment of its own whose ClickHouse does not answer."""
    return WarehouseSettings(
        clickhouse_host=f"127.0.0.1:{free_port()}", clickhouse_database=f"test_{secrets.token_hex(4)}"
    )


@contextmanager
def serving(settings: ApiSettings, warehouse_settings: WarehouseSettings) -> Iterator[httpx.Client]:
    """Serve the API from a thread, over a real socket, until the block is left."""
    app = create_app(settings, warehouse_settings)
    config = uvicorn.Config(
        app, "127.0.0.1", settings.port, log_config=None, access_log=False, ws="none", proxy_headers=False
    )
    server = ApiServer(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the API did not start"
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


def claims_for(role: Role = Role.VIEWER, lifetime: timedelta = timedelta(hours=1)) -> TokenClaims:
    return new_claims("alice", role, lifetime, datetime.now(UTC))


def token_for(settings: ApiSettings, role: Role = Role.VIEWER) -> str:
    return sign(claims_for(role), settings.jwt_secret)


def with_access(settings: ApiSettings, environment: str, work: Callable[[AccessStore], Awaitable[Answer]]) -> Answer:
    """Do one thing with the access store, as the command line does."""

    async def run() -> Answer:
        async with valkey_client(settings) as valkey:
            return await work(AccessStore(valkey, environment))

    return asyncio.run(run())


def write_key_for(settings: ApiSettings, environment: str, source: str = "web") -> tuple[str, str]:
    """A new key: the secret and its id."""
    secret, key = new_write_key(source, "", datetime.now(UTC))
    with_access(settings, environment, lambda store: store.add_key(key))
    return secret, key.key_id


def seconds_until(condition: Callable[[], bool], patience_seconds: float = 15) -> float:
    """Wait for a condition and return how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < patience_seconds, "waited in vain"
        time.sleep(0.05)
    return time.monotonic() - started
