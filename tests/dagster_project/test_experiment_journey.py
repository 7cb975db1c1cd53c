"""An experiment from its creation to a verdict: over HTTP, through the flusher, dbt and the statistics, and back."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import httpx
import pytest

from flags.assignment import compile_assignment
from flags.experiment_codec import decode_experiment
from flags.ruleset import user_of
from ingest_api.auth.roles import Role
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.dagster_project.conftest import Prepared, execute
from tests.ingest_api.events.events_given import running
from tests.ingest_api.events.flushers_given import flusher_given
from tests.ingest_api.serving import api_settings, bearer, seconds_until, serving, token_for, write_key_for
from warehouse.client import Client, connect
from warehouse.config import WarehouseSettings

# Each of two runs of the job takes a while where other tests run beside it.
pytestmark = pytest.mark.timeout(600)

TESTS = "/api/feature-flags/ab-tests"
USERS, ASSIGNED_HERE = 20_000, 500
"""Most are exposed by an SDK two days ago, some by the API now."""
RATES = {"control": 0.30, "new": 0.33}
TWO_DAYS_AGO = datetime.now(UTC) - timedelta(days=2)
YESTERDAY, TODAY = ((datetime.now(UTC) - timedelta(days=days)).date().isoformat() for days in (1, 0))
EXPERIMENT = {
    "id": "checkout",
    "name": "Checkout",
    "status": "running",
    "startedAt": (TWO_DAYS_AGO - timedelta(days=1)).isoformat(),
    "plannedUsers": USERS,
    "variants": [
        {"id": "control", "name": "Control", "allocation": 50, "isControl": True},
        {"id": "new", "name": "New Checkout", "allocation": 50},
    ],
    "metrics": [{"id": "order", "name": "Orders", "type": "conversion", "aggregation": "rate", "isPrimary": True}],
}


def event(name: str, user: str, moment: datetime, **properties: str) -> dict[str, Any]:
    return {
        "eventName": name,
        "userId": user,
        "eventId": f"{name}-{user}-{moment.isoformat()}",
        "timestamp": moment.isoformat(),
        "properties": properties,
    }


@dataclass
class Shop:
    """A running API with a flusher, and what is known of the users who came."""

    client: httpx.Client
    settings: WarehouseSettings
    table: Client
    variables: dict[str, str]
    variant_of: dict[str, str] = field(default_factory=dict)
    buyers: set[str] = field(default_factory=set)
    sent: int = 0

    def send(self, events: list[dict[str, Any]]) -> None:
        body = gzip.compress(json.dumps({"events": events}).encode(), 1)
        answer = self.client.post("/api/analytics/track/batch", content=body, headers={"content-encoding": "gzip"})
        assert answer.json()["accepted"] == len(events), answer.text
        self.sent += len(events)

    def compute(self) -> None:
        """Wait until everything is in the warehouse, then run the job."""
        table = f"{self.settings.database('raw')}.events"
        seconds_until(lambda: self.table.query(f"SELECT count() FROM {table}").result_rows == [(self.sent,)], 60)
        with pytest.MonkeyPatch.context() as environment, dg.DagsterInstance.ephemeral() as instance:
            for name, value in self.variables.items():
                environment.setenv(name, value)
            assert execute("experiment_results_job", instance).result.success

    def results(self, **query: str) -> dict[str, Any]:
        answer = self.client.get(f"{TESTS}/checkout/results", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def counted(self, first: int = 0) -> dict[str, tuple[int, int]]:
        """Users and buyers of each variant, from this user on."""
        return {
            variant: (
                sum(one == variant for user, one in self.variant_of.items() if int(user) >= first),
                sum(self.variant_of[user] == variant for user in self.buyers if int(user) >= first),
            )
            for variant in RATES
        }


def counts(found: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {one["variantId"]: (one["users"], one["sum"]) for one in found["metrics"][0]["variants"]}


@pytest.fixture(scope="module")
def shop(prepared: Prepared, gateway: Gateway, valkey: Valkey) -> Iterator[Shop]:
    api, warehouse = api_settings(valkey.url), fresh_settings(gateway)
    table = connect(warehouse)
    with serving(api, warehouse) as client, running(flusher_given(valkey.url, warehouse)):
        client.headers.update(bearer(token_for(api, Role.EDITOR)))
        variables = prepared.variables | {"CLICKHOUSE_DATABASE": warehouse.clickhouse_database}
        shop = Shop(client, warehouse, table, variables)
        made = client.post(TESTS, json=EXPERIMENT)
        assert made.status_code == 201, made.text
        expose(shop, made.json(), write_key_for(api, warehouse.clickhouse_database)[0])
        buy(shop)
        shop.compute()
        yield shop
    table.close()


def expose(shop: Shop, document: dict[str, Any], write_key: str) -> None:
    assign = compile_assignment(decode_experiment(document))
    shop.variant_of = {str(number): assign(user_of(str(number))).variant.id for number in range(USERS)}
    exposed = [
        event("experiment_exposure", user, TWO_DAYS_AGO, experimentKey="checkout", variant=variant)
        for user, variant in shop.variant_of.items()
        if int(user) >= ASSIGNED_HERE
    ]
    for start in range(0, len(exposed), 10_000):
        shop.send(exposed[start : start + 10_000])
    said = {
        str(number): shop.client.post(
            f"{TESTS}/checkout/assign", json={"userId": number}, headers=bearer(write_key)
        ).json()["variantId"]
        for number in range(ASSIGNED_HERE)
    }
    shop.sent += ASSIGNED_HERE
    assert said == {user: shop.variant_of[user] for user in said}


def buy(shop: Shop) -> None:
    shop.buyers = {
        user for user, variant in shop.variant_of.items() if int(user) * 7919 % 10_000 < RATES[variant] * 10_000
    }
    later = timedelta(hours=1)
    shop.send(
        [
            event("order", user, TWO_DAYS_AGO + later if int(user) >= ASSIGNED_HERE else datetime.now(UTC))
            for user in sorted(shop.buyers)
        ]
    )


def test_true_effect_is_told_in_words(shop: Shop) -> None:
    found = shop.results()

    assert found["verdict"]["code"] == "wins", found["verdict"]
    assert found["verdict"]["text"].startswith("New Checkout wins: +1")
    assert found["verdict"]["text"].endswith("valid at any time")
    assert (found["asOf"], found["isComplete"]) == (YESTERDAY, True)
    assert counts(found) == shop.counted(ASSIGNED_HERE)
    assert found["health"]["srm"]["detected"] is False
    assert found["health"]["warnings"] == []


def test_exposures_of_the_api_count_as_those_of_sdks(shop: Shop) -> None:
    found = shop.results(asOf=TODAY)
    plan = shop.client.post(
        f"{TESTS}/plan", json={"experimentId": "checkout", "minimumDetectableEffect": 0.1, "usersPerDay": 1000}
    ).json()

    assert (found["asOf"], found["isComplete"]) == (TODAY, False)
    assert counts(found) == shop.counted()
    assert sum(one["users"] for one in found["health"]["variants"]) == USERS
    assert plan["baseline"] == pytest.approx(RATES["control"], abs=0.01)


def test_late_events_change_what_they_should_and_nothing_else(shop: Shop) -> None:
    before = shop.results()
    late = next(user for user in reversed(shop.variant_of) if user not in shop.buyers)
    early = next(user for user in shop.variant_of if user not in shop.buyers and int(user) >= ASSIGNED_HERE)

    # One that was made before the exposure, one that was sent before, and one that is new.
    shop.send([event("order", early, TWO_DAYS_AGO - timedelta(hours=1))])
    shop.send([event("order", late, TWO_DAYS_AGO + timedelta(hours=2))])
    shop.send(
        [event("experiment_exposure", late, TWO_DAYS_AGO, experimentKey="checkout", variant=shop.variant_of[late])]
    )
    shop.buyers.add(late)
    shop.compute()

    after = shop.results()
    assert counts(after) == shop.counted(ASSIGNED_HERE)
    assert counts(after) != counts(before)
    assert after["health"] == before["health"]
