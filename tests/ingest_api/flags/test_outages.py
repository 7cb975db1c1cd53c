"""What becomes of flags while Valkey, ClickHouse or both are away, and after Valkey has lost everything."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from flags.redis_store import DefinitionStore, Revision
from ingest_api.auth.roles import Role
from ingest_api.config import ApiSettings
from ingest_api.events.stream import stream_keys
from local_stack.processes import free_port
from tests.ingest_api.events.events_given import running
from tests.ingest_api.events.flushers_given import flusher_given
from tests.ingest_api.flags.conftest import FLAGS
from tests.ingest_api.flags.definitions_given import created, value_of
from tests.ingest_api.servers_given import Stoppable
from tests.ingest_api.serving import api_settings, bearer, seconds_until, serving, token_for, write_key_for
from warehouse.client import connect


@pytest.fixture
def settings(servers: Stoppable) -> ApiSettings:
    """Of an API whose definitions are stale after a second without word from Valkey."""
    for name in ("valkey", "clickhouse"):
        servers.start(name)
    servers.migrate()
    return api_settings(servers.redis_url).model_copy(update={"feature_flags_cache_ttl": 1})


@contextmanager
def api(settings: ApiSettings, servers: Stoppable) -> Iterator[httpx.Client]:
    """One more API process on the same servers; its client sends an editor's token."""
    settings = settings.model_copy(update={"port": free_port()})
    with serving(settings, servers.warehouse_settings) as client:
        client.headers.update(bearer(token_for(settings, Role.EDITOR)))
        yield client


def as_bearer(key: dict[str, str]) -> dict[str, str]:
    return bearer(key["x-write-key"])


def health_of(client: httpx.Client) -> tuple[str, dict[str, Any]]:
    health = client.get("/health").json()
    return health["status"], health["dependencies"]["definitions"]


def patched(client: httpx.Client, **members: Any) -> httpx.Response:
    return client.patch(f"{FLAGS}/dark_mode", json=members)


def changes_stored(servers: Stoppable) -> list[tuple[int, str]]:
    client = connect(servers.warehouse_settings)
    table = f"{servers.warehouse_settings.database('raw')}.definition_changes"
    rows = client.query(f"SELECT DISTINCT version, action FROM {table} WHERE key = 'dark_mode' ORDER BY 1").result_rows
    client.close()
    return [tuple(row) for row in rows]


def test_flags_are_evaluated_while_valkey_is_down_and_health_says_how_old_they_are(
    servers: Stoppable, settings: ApiSettings
) -> None:
    with api(settings, servers) as client:
        created(client)
        key = {"x-write-key": write_key_for(settings, servers.warehouse_settings.clickhouse_database)[0]}
        # A process knows the keys that it has seen while Valkey was there.
        assert client.post(f"{FLAGS}/dark_mode/evaluate", json={}, headers=key | as_bearer(key)).status_code == 200
        assert health_of(client)[1]["state"] == "up"

        servers.stop("valkey")
        seconds_until(lambda: health_of(client)[1]["state"] == "stale")

        status, definitions = health_of(client)
        assert (status, definitions["version"]) == ("down", 2)
        assert definitions["ageSeconds"] > 1
        assert value_of(client) is True
        assert (
            client.post(f"{FLAGS}/dark_mode/evaluate", json={}, headers={**key, "authorization": ""}).status_code == 401
        )
        del client.headers["authorization"]
        assert client.post(f"{FLAGS}/dark_mode/evaluate", json={}, headers=key).json()["value"] is True
        client.headers.update(bearer(token_for(settings, Role.EDITOR)))
        refused = patched(client, isEnabled=False)
        assert (refused.status_code, refused.json()["code"]) == (503, "definitions_unavailable")
        assert "retry-after" in refused.headers

        servers.start("valkey")
        seconds_until(lambda: health_of(client)[1]["state"] == "up")
        assert patched(client, isEnabled=False).status_code == 200
        assert value_of(client) is False


def test_sticky_users_get_what_the_rules_say_while_valkey_is_down(servers: Stoppable, settings: ApiSettings) -> None:
    rule = {"id": "split", "variations": ["a", "b"], "weights": [1, 0], "sticky": True}
    with api(settings, servers) as client:
        created(client, type="string", value="a", rules=[rule])
        assert value_of(client) == "a"
        patched(client, rules=[rule | {"weights": [0, 1]}])

        servers.stop("valkey")
        assert value_of(client) == "b"

        servers.start("valkey")
        seconds_until(lambda: value_of(client) == "a")


def test_flags_are_changed_and_evaluated_while_clickhouse_is_down(servers: Stoppable, settings: ApiSettings) -> None:
    with api(settings, servers) as client:
        created(client)
        servers.stop("clickhouse")

        assert patched(client, isEnabled=False).status_code == 200

        assert value_of(client) is False
        assert health_of(client)[1]["state"] == "up"
        assert [one["version"] for one in client.get(f"{FLAGS}/dark_mode/history").json()["items"]] == [2, 1]
        assert client.get(f"{FLAGS}/stale").status_code == 503


def test_flags_are_evaluated_while_both_are_down(servers: Stoppable, settings: ApiSettings) -> None:
    with api(settings, servers) as client:
        created(client, type="string", value="x")
        for name in ("valkey", "clickhouse"):
            servers.stop(name)
        seconds_until(lambda: health_of(client)[1]["state"] == "stale")

        assert value_of(client) == "x"
        assert client.get(f"{FLAGS}/dark_mode").json()["value"] == "x"
        assert patched(client, value="y").status_code == 503
        history = client.get(f"{FLAGS}/dark_mode/history")
        assert (history.status_code, history.json()["code"]) == (503, "definitions_unavailable")


def test_a_process_that_starts_while_both_are_down_says_so_and_recovers(
    servers: Stoppable, settings: ApiSettings
) -> None:
    with api(settings, servers) as client:
        created(client)
    for name in ("valkey", "clickhouse"):
        servers.stop(name)

    with api(settings, servers) as client:
        assert health_of(client)[1] | {"latencyMs": 0} == {
            "state": "down",
            "latencyMs": 0,
            "detail": "Neither Valkey nor ClickHouse had definitions since this process started",
            "version": None,
            "ageSeconds": None,
        }
        assert client.post(f"{FLAGS}/dark_mode/evaluate", json={}).status_code == 503

        servers.start("valkey")
        seconds_until(lambda: client.post(f"{FLAGS}/dark_mode/evaluate", json={}).status_code == 200)
        assert value_of(client) is True


def test_a_process_without_definitions_answers_503_and_not_that_there_is_no_flag(
    servers: Stoppable, settings: ApiSettings
) -> None:
    servers.stop("clickhouse")

    with api(settings, servers) as client:
        answer = client.post(f"{FLAGS}/dark_mode/evaluate", json={})
        assert (answer.status_code, answer.json()["code"]) == (503, "definitions_unavailable")

        servers.start("clickhouse")
        seconds_until(lambda: client.post(f"{FLAGS}/dark_mode/evaluate", json={}).status_code == 404)
        created(client)


def test_another_process_sees_a_change_by_its_message(servers: Stoppable, settings: ApiSettings) -> None:
    with api(settings, servers) as writer, api(settings, servers) as reader:
        created(writer, type="number", value=0)
        seconds_until(lambda: reader.get(f"{FLAGS}/dark_mode").status_code == 200)

        waits = []
        for number in range(1, 21):
            patched(writer, value=number)
            waits.append(seconds_until(lambda number=number: value_of(reader) == number))

    # By polling alone it would be half a second on average.
    assert sum(waits) / len(waits) < 0.25


def test_a_change_whose_message_is_lost_is_seen_by_the_number_of_the_snapshot(
    servers: Stoppable, settings: ApiSettings
) -> None:
    with (
        api(settings, servers) as writer,
        api(settings, servers) as reader,
        Redis.from_url(servers.redis_url) as redis,
    ):
        created(writer)
        seconds_until(lambda: reader.get(f"{FLAGS}/dark_mode").status_code == 200)
        done = threading.Event()

        def cut() -> None:
            while not done.is_set():
                redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            patched(writer, isEnabled=False)
            waited = seconds_until(lambda: value_of(reader) is False)
        finally:
            done.set()
            cutter.join()

        assert waited < 3
        # And then messages arrive again.
        seconds_until(lambda: redis.pubsub_numsub(channel_of(servers))[0][1] == 2)


def channel_of(servers: Stoppable) -> str:
    return f"{{{servers.warehouse_settings.clickhouse_database}}}:definitions:changed"


def test_an_emptied_valkey_gets_back_what_the_warehouse_and_the_processes_know(
    servers: Stoppable, settings: ApiSettings
) -> None:
    with api(settings, servers) as client, Redis.from_url(servers.redis_url) as redis:
        created(client, type="string", value="x")
        created(client, "deleted")
        client.delete(f"{FLAGS}/deleted")
        with running(flusher_given(servers.redis_url, servers.warehouse_settings)):
            seconds_until(lambda: changes_stored(servers) == [(1, "created")])
        patched(client, value="not flushed yet")

        redis.flushall()

        assert value_of(client) == "not flushed yet"
        changed = client.patch(f"{FLAGS}/dark_mode", json={"owner": "ada", "version": 2})
        assert (changed.status_code, changed.json()["version"]) == (200, 3)
        assert created(client, "deleted")["version"] == 3
        with running(flusher_given(servers.redis_url, servers.warehouse_settings)):
            seconds_until(lambda: changes_stored(servers) == [(1, "created"), (2, "restored"), (3, "updated")])
        history = client.get(f"{FLAGS}/dark_mode/history").json()["items"]
        assert [one["version"] for one in history] == [3, 2, 1]


def test_a_new_process_on_an_emptied_valkey_has_the_definitions_of_the_warehouse(
    servers: Stoppable, settings: ApiSettings
) -> None:
    with api(settings, servers) as client, running(flusher_given(servers.redis_url, servers.warehouse_settings)):
        made = created(client, rolloutPercentage=25, tags=["a"])
        seconds_until(lambda: changes_stored(servers) == [(1, "created")])
    with Redis.from_url(servers.redis_url) as redis:
        redis.flushall()

    with api(settings, servers) as client:
        assert client.get(f"{FLAGS}/dark_mode").json() == made
        assert patched(client, rolloutPercentage=30).json()["version"] == 2


def test_nothing_can_be_changed_in_an_emptied_valkey_before_the_warehouse_answers(
    servers: Stoppable, settings: ApiSettings
) -> None:
    """A definition written now would begin at version 1 again, and hide what the warehouse has."""
    with api(settings, servers) as client, Redis.from_url(servers.redis_url) as redis:
        created(client)
        servers.stop("clickhouse")
        redis.flushall()

        refused = patched(client, isEnabled=False)

        assert (refused.status_code, refused.json()["code"]) == (503, "definitions_unavailable")
        assert value_of(client) is True
        servers.start("clickhouse")
        seconds_until(lambda: patched(client, isEnabled=False).status_code == 200)


def test_what_a_process_has_seen_is_put_back_when_another_restored_less(
    servers: Stoppable, settings: ApiSettings
) -> None:
    environment = servers.warehouse_settings.clickhouse_database

    async def restore_less(known: Revision) -> None:
        async with AsyncRedis.from_url(servers.redis_url) as valkey:
            store = DefinitionStore(valkey, environment, stream_keys(environment).events)
            await valkey.flushall()
            assert await store.restore({"flag:dark_mode": known}, 1000)

    with api(settings, servers) as client, Redis.from_url(servers.redis_url) as redis:
        created(client, type="string", value="old")
        [old] = redis.hvals(f"{{{environment}}}:definitions:documents")
        patched(client, value="new")

        asyncio.run(restore_less(Revision(1, old)))

        seconds_until(lambda: b'"new"' in redis.hvals(f"{{{environment}}}:definitions:documents")[0])
        assert value_of(client) == "new"
        assert patched(client, value="newer").json()["version"] == 3
