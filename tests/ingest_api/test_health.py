"""What health and readiness say while each dependency is really stopped."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from ingest_api.health import CHECK_SECONDS
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.conftest import Api
from tests.ingest_api.servers_given import Stoppable
from tests.ingest_api.serving import api_settings, nowhere, seconds_until, serving
from warehouse.client import connect


def states(client: httpx.Client) -> dict[str, Any]:
    health = client.get("/health").json()
    return {"status": health["status"], **{name: one["state"] for name, one in health["dependencies"].items()}}


def ready(client: httpx.Client) -> bool:
    return client.get("/health/ready").status_code == 200


def test_health_follows_each_dependency_as_it_comes_and_goes(servers: Stoppable) -> None:
    servers.start("valkey")
    with serving(api_settings(servers.redis_url), servers.warehouse_settings) as client:
        assert states(client) | {"flusher": "-"} == {
            "status": "degraded",
            "clickhouse": "down",
            "valkey": "up",
            "schema": "unknown",
            "flusher": "-",
            "definitions": "down",
        }
        assert not ready(client)

        servers.start("clickhouse")
        seconds_until(lambda: states(client)["schema"] == "behind")
        assert not ready(client)
        assert "analytics migrate" in client.get("/health/ready").json()["detail"]

        servers.migrate()
        seconds_until(lambda: ready(client))
        assert states(client)["clickhouse"] == "up"
        assert states(client)["schema"] == "up"
        seconds_until(lambda: states(client)["definitions"] == "up")

        servers.stop("clickhouse")
        seconds_until(lambda: states(client)["clickhouse"] == "down")
        assert states(client)["status"] == "degraded"
        assert ready(client)

        servers.stop("valkey")
        seconds_until(lambda: states(client)["valkey"] == "down")
        assert client.get("/health").status_code == 503
        assert states(client)["status"] == "down"
        assert not ready(client)
        assert client.get("/health/live").status_code == 200

        servers.start("valkey")
        servers.start("clickhouse")
        seconds_until(lambda: ready(client) and states(client)["clickhouse"] == "up")


def test_health_shows_latency_and_no_secret(api: Api) -> None:
    response = api.client.get("/health")

    dependencies = response.json()["dependencies"]
    assert all(one["latencyMs"] >= 0 for one in dependencies.values())
    for secret in (api.settings.redis_url, api.warehouse_settings.clickhouse_password.get_secret_value()):
        assert secret not in response.text


def test_flusher_is_reported_missing_while_none_runs(api: Api) -> None:
    flusher = api.client.get("/health").json()["dependencies"]["flusher"]

    assert flusher["state"] == "down"
    assert flusher["waitingEntries"] == 0


def test_health_answers_in_time_when_a_dependency_accepts_and_says_nothing(valkey: Valkey, silent_port: int) -> None:
    silent = nowhere().model_copy(update={"clickhouse_host": f"127.0.0.1:{silent_port}"})

    with serving(api_settings(valkey.url), silent) as client:
        started = time.monotonic()
        health = client.get("/health").json()
        took = time.monotonic() - started

    assert took < CHECK_SECONDS + 1
    assert health["dependencies"]["clickhouse"]["state"] == "down"


def test_many_askers_cost_one_check(api: Api) -> None:
    with ThreadPoolExecutor(8) as askers:
        answers = list(askers.map(lambda _: api.client.get("/health").json()["checkedAt"], range(40)))

    assert len(set(answers)) <= 2


def test_schema_of_an_old_database_is_behind(gateway: Gateway, valkey: Valkey) -> None:
    settings = fresh_settings(gateway)
    client = connect(settings)
    client.command(f"ALTER TABLE {settings.database('ops')}.migrations DELETE WHERE version > 1")

    with serving(api_settings(valkey.url), settings) as api_client:
        health = api_client.get("/health").json()

    assert health["dependencies"]["schema"]["state"] == "behind"
    assert health["status"] == "degraded"
    client.close()
