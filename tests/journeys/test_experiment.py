"""An experiment from its definition to its verdict: 20,000 users are assigned, post events, and Dagster computes."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from local_stack.config import PROJECT_ROOT
from local_stack.event_stream import wait_until_drained
from local_stack.processes import console_script
from local_stack.startup import IngestStack, ingest_stack
from local_stack.valkey_server import valkey_url

pytestmark = pytest.mark.timeout(900)

USERS = 20_000
CONNECTIONS = 16
TESTS = "/api/feature-flags/ab-tests"
PURCHASE = {"eventName": "purchase"}
DEFINITION = {
    "name": "Checkout colour",
    "status": "running",
    "variants": [
        {"id": "control", "name": "Green", "allocation": 50, "config": {"colour": "green"}, "isControl": True},
        {"id": "blue", "name": "Blue", "allocation": 50, "config": {"colour": "blue"}},
    ],
    "metrics": [
        {"id": "order", "name": "Orders", "type": "conversion", "aggregation": "rate", "isPrimary": True} | PURCHASE,
        {"id": "spent", "name": "Revenue", "type": "revenue", "aggregation": "mean"} | PURCHASE,
    ],
    "plannedUsers": USERS,
    "createdBy": "shop",
}
RATES = {"control": 30, "blue": 33}
"""Buyers of a hundred users: blue sells a tenth more."""


@dataclass
class Trial:
    running: IngestStack
    api: httpx.Client
    assigned: dict[str, str]
    """The variant of each user."""
    buyers: list[str]
    results: dict[str, Any]

    def post(self, events: list[dict[str, Any]]) -> None:
        for start in range(0, len(events), 1000):
            batch = {"events": events[start : start + 1000]}
            self.api.post("/api/analytics/track/batch", json=batch).raise_for_status()

    def compute(self) -> None:
        """Run the job as Dagster's daemon does, and read what came of it."""
        programs = self.running.programs
        url = valkey_url(programs.settings.ports.valkey, programs.credentials.valkey_password)
        wait_until_drained(url, programs.settings.database, self.running.stack.pulse)
        job = ["job", "execute", "-m", "dagster_project.definitions", "-j", "experiment_results_job"]
        run([console_script("dagster"), *job], programs.environment)
        self.results = self.api.get(f"{TESTS}/checkout-colour/results").raise_for_status().json()

    def of(self, metric: str, variant: str) -> dict[str, Any]:
        [found] = [one for one in self.results["metrics"] if one["metricId"] == metric]
        [row] = [one for one in found["variants"] if one["variantId"] == variant]
        return dict(row)


def run(command: list[str], environment: dict[str, str]) -> None:
    environment = {**environment, "ANALYTICS_SAFETY_LAG_SECONDS": "0"}
    ran = subprocess.run(command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-5000:]


def order(user: str, after: datetime, number: int = 1) -> dict[str, Any]:
    properties = {"revenue": "20.00", "currency": "USD", "order_id": f"{user}-{number}"}
    return {
        "eventId": f"order-{user}-{number}",
        "eventName": "purchase",
        "userId": user,
        "timestamp": after.isoformat(),
        "properties": properties,
    }


async def assign(url: str, token: str, users: list[str]) -> dict[str, str]:
    """Ask for the variant of each user."""
    waiting = iter(users)
    assigned: dict[str, str] = {}

    async def ask(client: httpx.AsyncClient) -> None:
        for user in waiting:
            answer = await client.post(f"{TESTS}/checkout-colour/assign", json={"userId": user})
            assigned[user] = answer.raise_for_status().json()["variantId"]

    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        await asyncio.gather(*(ask(client) for _ in range(CONNECTIONS)))
    return assigned


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with ingest_stack(tmp_path_factory.mktemp("stack")) as running:
        access = running.access
        run([sys.executable, "-m", "dagster_project.prepare"], running.programs.environment)
        headers = {"Authorization": f"Bearer {access.token}"}
        with httpx.Client(base_url=access.api_url, headers=headers, trust_env=False, timeout=30) as api:
            api.post(TESTS, json=DEFINITION).raise_for_status()
            users = [f"user-{number}" for number in range(USERS)]
            assigned = asyncio.run(assign(access.api_url, access.token, users))
            by_variant = {variant: [user for user in users if assigned[user] == variant] for variant in RATES}
            buyers = [
                user for variant, of_variant in by_variant.items() for user in of_variant[: share(of_variant, variant)]
            ]
            trial = Trial(running, api, assigned, buyers, {})
            trial.post([order(user, datetime.now(UTC)) for user in buyers])
            trial.compute()
            yield trial


def share(users: list[str], variant: str) -> int:
    return round(len(users) * RATES[variant] / 100)


def test_users_are_split_as_allocated(trial: Trial) -> None:
    users = {variant: list(trial.assigned.values()).count(variant) for variant in RATES}

    assert sum(users.values()) == USERS
    assert trial.results["health"]["srm"]["pValue"] > 0.001
    assert {one["variantId"]: one["users"] for one in trial.results["health"]["variants"]} == users


def test_variant_that_sells_a_tenth_more_wins(trial: Trial) -> None:
    blue, control = trial.of("order", "blue"), trial.of("order", "control")

    assert (round(control["mean"], 3), round(blue["mean"], 3)) == (0.3, 0.33)
    assert blue["relativeLift"] == pytest.approx(0.1, abs=0.001)
    assert blue["isSignificantSequential"]
    assert trial.results["verdict"]["code"] == "wins"
    assert trial.results["verdict"]["text"].startswith("Blue wins: +10.0 % (+")
    assert trial.results["verdict"]["text"].endswith("valid at any time")


def test_late_events_and_a_second_run_change_only_what_they_should(trial: Trial) -> None:
    before = {(metric, variant): trial.of(metric, variant)["sum"] for metric in ("order", "spent") for variant in RATES}
    buyer = next(user for user in trial.buyers if trial.assigned[user] == "control")
    other, late = [
        user for user, variant in trial.assigned.items() if variant == "control" and user not in trial.buyers
    ][:2]

    trial.post([order(buyer, datetime.now(UTC))])  # sent once more
    trial.post([order(buyer, datetime.now(UTC), number=2)])  # a conversion counts once, money does not
    trial.post([order(other, datetime.now(UTC) - timedelta(days=1))])  # before the exposure
    trial.post([order(late, datetime.now(UTC))])
    trial.compute()

    after = {(metric, variant): trial.of(metric, variant)["sum"] for metric, variant in before}
    assert after == before | {
        ("order", "control"): before["order", "control"] + 1,
        ("spent", "control"): before["spent", "control"] + 40,
    }

    metrics = trial.results["metrics"]
    trial.compute()

    assert trial.results["metrics"] == metrics
