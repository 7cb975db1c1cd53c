"""Experiments from events to results, over real tables."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from tests.conftest import Gateway, fresh_settings
from tests.dagster_project.conftest import Prepared, Run, execute
from warehouse.client import Client, connect
from warehouse.config import WarehouseSettings

START = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0) - timedelta(days=3)
USERS = 400
RESULTS = """
SELECT * EXCEPT (computed_at) FROM {marts:Identifier}.experiment_results
ORDER BY experiment_id, metric_id, dimension, dimension_value, variant_id, as_of_date
"""


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def experiment(key: str, shares: dict[str, float], **members: Any) -> dict[str, Any]:
    """A document as the API stores it; the guardrail counts errors, of which there should be few."""
    metric = {"aggregation": "mean", "property": None, "windowHours": None, "cap": None, "denominator": None}
    return {
        "id": key,
        "name": key.title(),
        "status": "running",
        "variants": [{"id": one, "name": one.title(), "isControl": one == "control"} for one in shares],
        "metrics": [
            metric
            | {"id": "signup", "name": "Signups", "type": "conversion", "aggregation": "rate", "isPrimary": True}
            | {"role": "goal", "eventName": "signup", "direction": "increase", "nonInferiorityMargin": None},
            metric
            | {"id": "errors", "name": "Errors", "type": "count", "isPrimary": False, "role": "guardrail"}
            | {"eventName": "error", "direction": "decrease", "nonInferiorityMargin": 0.05},
        ],
        "phases": [{"startedAt": text(START), "endedAt": None, "coverage": 1, "allocations": shares}],
        "segments": ["country"],
        "confidenceLevel": 0.95,
        "correction": "holm",
        "startedAt": text(START),
        "endedAt": None,
        "version": 1,
        **members,
    }


def define(client: Client, settings: WarehouseSettings, *documents: dict[str, Any]) -> None:
    rows = [["experiment", one["id"], 1, "created", json.dumps(one), START] for one in documents]
    names = ["kind", "key", "version", "action", "after", "changed_at"]
    client.insert("definition_changes", rows, column_names=names, database=settings.database("raw"))


def event(number: int, name: str, minutes: int, **properties: str) -> list[Any]:
    moment = START + timedelta(minutes=number + minutes)
    country = "DE" if number % 2 else "US"
    said = json.dumps(properties)
    return [f"{name}-{number}-{said}", name, f"u{number}", moment, moment, said, country]


def store(client: Client, settings: WarehouseSettings, events: list[list[Any]]) -> None:
    names = ["event_id", "event_name", "user_id", "occurred_at", "received_at", "properties", "country"]
    client.insert("events", events, column_names=names, database=settings.database("raw"))


def story() -> Iterator[list[Any]]:
    """Everybody sees both experiments: one is split evenly, the other 3:1. New things convert and break more often."""
    for number in range(USERS):
        is_new = number % 2 == 1
        variant = "new" if is_new else "control"
        yield event(number, "experiment_exposure", 0, experimentKey="fair", variant=variant)
        skewed = "new" if number % 4 == 3 else "control"
        yield event(number, "experiment_exposure", 1, experimentKey="skewed", variant=skewed)
        if number % 16 in (0, 2, 4, 1, 3, 5, 7, 9):
            yield event(number, "signup", 30)
        if is_new and number % 8 != 1:
            yield event(number, "error", 40)


@dataclass(frozen=True, slots=True)
class Computed:
    """An environment in which the job ran, and the statistics once more."""

    settings: WarehouseSettings
    client: Client
    first: Run
    rows: list[dict[str, Any]]
    """The results after the first run."""
    rows_after_the_second: list[dict[str, Any]]

    def row(self, experiment: str, metric: str, variant: str, dimension: str = "") -> dict[str, Any]:
        found = [
            row
            for row in self.rows
            if (row["experiment_id"], row["metric_id"], row["variant_id"]) == (experiment, metric, variant)
            and (row["dimension"], row["dimension_value"]) == (dimension, "DE" if dimension else "")
        ]
        return found[-1]


@pytest.fixture(scope="module")
def computed(prepared: Prepared, gateway: Gateway) -> Iterator[Computed]:
    settings = fresh_settings(gateway)
    client = connect(settings)
    fair = experiment("fair", {"control": 0.5, "new": 0.5}, flagKey="page", guardrailPolicy="disable_flag")
    define(client, settings, fair, experiment("skewed", {"control": 0.5, "new": 0.5, "closed": 0}))
    store(client, settings, list(story()))

    def results() -> list[dict[str, Any]]:
        answer = client.query(RESULTS, parameters={"marts": settings.database("marts")})
        return [dict(zip(answer.column_names, row, strict=True)) for row in answer.result_rows]

    with pytest.MonkeyPatch.context() as environment, dg.DagsterInstance.ephemeral() as instance:
        for name, value in (prepared.variables | {"CLICKHOUSE_DATABASE": settings.clickhouse_database}).items():
            environment.setenv(name, value)
        first = execute("experiment_results_job", instance)
        rows = results()
        # That the tables before it stay as they are, tests/dbt/test_experiments.py says.
        execute("experiment_results_job", instance, only=["stats/experiment_estimates"])
    yield Computed(settings, client, first, rows, results())
    client.close()


def test_results_hold_every_variant_beside_its_control(computed: Computed) -> None:
    new, control = computed.row("fair", "signup", "new"), computed.row("fair", "signup", "control")

    effect = new["absolute_difference"]

    assert (new["users"], new["control_users"], new["sum"]) == (200, 200, 125)
    assert (new["mean"], new["control_mean"]) == (0.625, 0.375)
    assert effect == pytest.approx(0.25)
    assert new["is_significant"]
    assert new["p_value"] < 1e-6
    assert new["relative_lift"] == pytest.approx(2 / 3)
    assert new["status"] == "ok"
    assert new["is_reliable"] is True
    assert control["is_control"]
    assert control["p_value"] is None
    assert control["status"] is None
    assert control["srm_p_value"] == new["srm_p_value"] == 1


def test_results_are_told_by_segment(computed: Computed) -> None:
    segment = computed.row("fair", "signup", "new", "country")

    users = (segment["users"], segment["control_users"])

    # Those of new are all from one country.
    assert users == (200, 0)
    assert segment["status"] == "insufficient_data"
    assert segment["p_value"] is None


def test_always_valid_p_value_never_grows(computed: Computed) -> None:
    series = [
        row["sequential_p_value"]
        for row in computed.rows
        if row["experiment_id"] == "fair" and row["metric_id"] == "signup" and row["dimension"] == ""
        if row["variant_id"] == "new" and row["sequential_p_value"] is not None
    ]

    falls = [later <= former for former, later in itertools.pairwise(series)]

    assert len(series) >= 3
    assert all(falls)


def test_split_that_was_not_asked_for_is_detected_and_nothing_is_reliable(computed: Computed) -> None:
    skewed = computed.row("skewed", "signup", "new")

    reasons = skewed["validation_failures"]

    assert skewed["srm_detected"]
    assert skewed["srm_p_value"] < 1e-6
    assert "sample_ratio_mismatch" in reasons
    assert skewed["is_reliable"] is False
    assert computed.row("fair", "signup", "new")["srm_detected"] is False


def test_checks_name_the_experiments_in_trouble(computed: Computed) -> None:
    checks = {check.check_name: check for check in computed.first.result.get_asset_check_evaluations()}

    troubles = {
        name: check.metadata["which"].value
        for name, check in checks.items()
        if check.asset_key.path == ["stats", "experiment_estimates"]
    }

    assert troubles["users_are_split_as_allocated"].keys() == {"skewed"}
    assert troubles["guardrails_hold"] == {"fair": "errors of new", "skewed": "errors of new"}
    assert troubles["no_unexpected_traffic"] == troubles["few_users_see_several_variants"] == {}
    assert troubles["every_metric_has_estimates"] == {}
    assert checks["users_are_split_as_allocated"].severity == dg.AssetCheckSeverity.ERROR
    assert computed.first.result.success


def test_materialization_says_how_many_experiments_and_until_when(computed: Computed) -> None:
    metadata = computed.first.metadata["stats/experiment_estimates"]

    facts = {name: metadata[name].value for name in ("experiments", "row_count", "as_of", "disabled_flags")}

    assert facts == {
        "experiments": 2,
        "row_count": len(computed.rows),
        "as_of": max(row["as_of_date"] for row in computed.rows).isoformat(),
        "disabled_flags": [],
    }


def test_second_computation_of_the_same_moments_changes_nothing(computed: Computed) -> None:
    rows = computed.rows

    again = computed.rows_after_the_second

    assert rows
    assert again == rows
