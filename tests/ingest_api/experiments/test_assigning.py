"""Who gets which variant over HTTP, and the exposures that this logs."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from flags.assignment import compile_assignment
from flags.experiment_codec import decode_experiment
from flags.experiment_phases import created as with_phase
from flags.redis_store import DefinitionStore, Snapshot
from flags.ruleset import Ruleset, user_of
from ingest_api.auth.roles import Role
from ingest_api.events.enrichment.senders import UNKNOWN_SENDER
from ingest_api.events.stream import open_event_stream, stream_keys
from ingest_api.experiments.assigning import Assigner
from ingest_api.flags.change_log import ChangeLog
from ingest_api.flags.definitions import Copy, Definitions
from ingest_api.warehouse_reader import WarehouseReader
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.flags.experiments_given import NOW, experiment
from tests.ingest_api.conftest import Api
from tests.ingest_api.events.events_given import running
from tests.ingest_api.events.flushers_given import flusher_given
from tests.ingest_api.experiments.conftest import TESTS
from tests.ingest_api.experiments.experiments_made import assigned, created, step
from tests.ingest_api.servers_given import Stoppable
from tests.ingest_api.serving import api_settings, bearer, nowhere, seconds_until, serving, token_for, write_key_for
from tests.ingest_api.test_errors import assert_problem
from warehouse.client import Client, connect


@pytest.fixture(scope="module")
def logging(gateway: Gateway, valkey: Valkey) -> Iterator[Api]:
    """An API with a flusher behind it; its client sends an editor's token."""
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    with serving(settings, warehouse_settings) as client, running(flusher_given(valkey.url, warehouse_settings)):
        client.headers.update(bearer(token_for(settings, Role.EDITOR)))
        yield Api(client, settings, warehouse_settings)


@pytest.fixture
def tables(logging: Api) -> Iterator[Client]:
    client = connect(logging.warehouse_settings)
    yield client
    client.close()


def exposures_of(tables: Client, api: Api, key: str) -> list[dict[str, Any]]:
    columns = ("event_name", "event_type", "user_id", "source", "properties", "user_agent")
    rows = tables.query(
        f"SELECT {', '.join(columns)} FROM {api.warehouse_settings.database('raw')}.events "
        f"WHERE JSONExtractString(properties, 'experimentKey') = '{key}' ORDER BY user_id, received_at"
    ).result_rows
    return [dict(zip(columns, row, strict=True)) for row in rows]


def test_user_gets_a_variant_and_is_exposed_once(logging: Api, tables: Client) -> None:
    made = created(logging.client, "seen")
    key, _ = write_key_for(logging.settings, logging.environment, "ios")

    answers = [
        logging.client.post(
            f"{TESTS}/seen/assign", json={"userId": "ada"}, headers={**bearer(key), "user-agent": "App/1"}
        ).json()
        for _ in range(3)
    ]
    assigned(logging.client, "seen", 42)

    expected = compile_assignment(decode_experiment(made))
    ada, number = (expected(user_of(user)).variant.id for user in ("ada", "42"))
    assert (
        answers
        == [
            {
                "experimentId": "seen",
                "variantId": ada,
                "variantName": {"control": "Control", "new": "New"}[ada],
                "config": None,
                "isControl": ada == "control",
                "inExperiment": True,
                "reason": "ASSIGNED",
            }
        ]
        * 3
    )
    seconds_until(lambda: len(exposures_of(tables, logging, "seen")) == 2)
    second, first = exposures_of(tables, logging, "seen")
    assert (first["event_name"], first["event_type"]) == ("experiment_exposure", "experiment")
    assert (first["user_id"], first["source"], first["user_agent"]) == ("ada", "ios", "App/1")
    assert json.loads(first["properties"]) == {"experimentKey": "seen", "variant": ada, "phase": 0}
    assert (second["user_id"], second["source"]) == ("42", "api")
    assert json.loads(second["properties"])["variant"] == number


def test_phase_is_that_of_the_moment(logging: Api, tables: Client) -> None:
    created(logging.client, "ramped", coverage=0)
    outside = assigned(logging.client, "ramped", "ada")
    logging.client.patch(f"{TESTS}/ramped", json={"coverage": 1})

    inside = assigned(logging.client, "ramped", "ada")

    assert (outside["reason"], inside["reason"]) == ("NOT_COVERED", "ASSIGNED")
    seconds_until(lambda: len(exposures_of(tables, logging, "ramped")) == 1)
    [exposure] = exposures_of(tables, logging, "ramped")
    assert json.loads(exposure["properties"])["phase"] == 1


def test_who_is_not_in_it_gets_the_control_and_is_not_exposed(logging: Api, tables: Client) -> None:
    pro = [{"attribute": "plan", "operator": "equals", "value": "pro"}]
    created(logging.client, "stepped", status="draft", conditions=pro)

    answers = [assigned(logging.client, "stepped", "ada", plan="pro")]
    step(logging.client, "stepped", "start")
    answers.append(assigned(logging.client, "stepped", "ada", plan="free"))
    step(logging.client, "stepped", "pause")
    answers.append(assigned(logging.client, "stepped", "ada", plan="pro"))
    step(logging.client, "stepped", "complete", variantId="new")
    answers.append(assigned(logging.client, "stepped", "ada", plan="pro"))

    assert [(one["variantId"], one["inExperiment"], one["reason"]) for one in answers] == [
        ("control", False, "NOT_STARTED"),
        ("control", False, "NOT_TARGETED"),
        ("control", False, "PAUSED"),
        ("new", False, "COMPLETED"),
    ]
    created(logging.client, "after")
    assigned(logging.client, "after", "ada")
    seconds_until(lambda: bool(exposures_of(tables, logging, "after")))
    assert exposures_of(tables, logging, "stepped") == []


def test_shares_of_many_users_are_the_allocations(logging: Api) -> None:
    created(
        logging.client,
        "split",
        variants=[{"id": "a", "allocation": 3, "isControl": True}, {"id": "b", "allocation": 1}],
    )

    counts = Counter(assigned(logging.client, "split", f"user-{number}")["variantId"] for number in range(200))

    # Four standard errors.
    assert 150 - 25 < counts["a"] < 150 + 25


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"userId": ""}', b'{"userId": null}', b'{"userId": 1.5}', b'{"userId": "a", "attributes": []}',
     b'{"userId": "a", "colour": 1}', b"[" * 5000, b"\xff", b'{"userId": "' + b"x" * 201 + b'"}'],
)  # fmt: skip
def test_request_that_names_no_user_is_refused(logging: Api, body: bytes) -> None:
    created_or_there(logging, "refusing")

    assert_problem(logging.client.post(f"{TESTS}/refusing/assign", content=body), 400, "input_invalid")


def created_or_there(api: Api, key: str) -> None:
    if api.client.get(f"{TESTS}/{key}").status_code == 404:
        created(api.client, key)


def test_unknown_experiment_method_and_caller_are_refused(logging: Api) -> None:
    path = f"{TESTS}/nothing/assign"

    unknown = logging.client.post(path, json={"userId": "ada"})
    method = logging.client.get(path)
    stranger = logging.client.post(path, json={"userId": "ada"}, headers={"authorization": ""})
    preflight = logging.client.options(path, headers={"origin": "https://shop.example"})

    assert_problem(unknown, 404, "experiment_not_found")
    assert_problem(method, 405)
    assert_problem(stranger, 401)
    assert preflight.status_code == 204


async def test_answer_is_given_while_exposures_cannot_be_logged_and_they_are_logged_later(servers: Stoppable) -> None:
    one = with_phase(experiment(status="running"), NOW)
    environment = "analytics"
    redis = Redis.from_url(servers.redis_url)
    store = DefinitionStore(redis, environment, stream_keys(environment).events)
    definitions = Definitions(store, ChangeLog(WarehouseReader(nowhere())), 300)
    definitions.current = Copy(Snapshot("epoch", 1, {}, NOW), Ruleset(), {one.key: one})

    async with open_event_stream(servers.redis_url, environment, 2**40) as stream:
        assigner = Assigner(definitions, stream)
        answers = [await assigner.assign("prices", "ada", None, "web", UNKNOWN_SENDER) for _ in range(2)]
        servers.start("valkey")
        answers += [await assigner.assign("prices", "ada", None, "web", UNKNOWN_SENDER) for _ in range(2)]
    entries = await redis.xrange(stream_keys(environment).events)
    await redis.aclose()

    assert [answer["reason"] for answer in answers] == ["ASSIGNED"] * 4
    [(_, fields)] = entries
    assert fields[b"n"] == b"1"
