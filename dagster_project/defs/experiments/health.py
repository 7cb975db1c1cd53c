"""What is wrong with the experiments that go on: one judgement for each kind of trouble, of all of them together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg

from dagster_project.defs.transform.translator import ESTIMATES
from warehouse.client import Client
from warehouse.config import WarehouseSettings

SILENCE = timedelta(days=1)
"""An experiment that has run for so long without anybody is forgotten somewhere."""

_HEALTH = """
WITH latest AS (
    SELECT
        experiment_id,
        as_of_date,
        anyIf(srm_p_value, srm_p_value IS NOT NULL) AS srm_p_value,
        countIf(srm_detected) > 0 AS has_mismatch,
        countIf(has(validation_failures, 'multiple_exposures')) > 0 AS has_multiple_exposures,
        countIf(has(validation_failures, 'unexpected_traffic')) > 0 AS has_unexpected_traffic,
        max(multiple_exposure_users) AS multiple_exposure_users,
        max(multiple_exposure_rate) AS multiple_exposure_rate,
        countIf(computed_at IS NOT NULL) AS estimated_rows,
        arraySort(groupArrayIf((metric_id, variant_id), guardrail_status = 'failed')) AS failed_guardrails
    FROM {marts:Identifier}.experiment_results
    WHERE dimension = ''
    GROUP BY experiment_id, as_of_date
    ORDER BY as_of_date DESC
    LIMIT 1 BY experiment_id
)

SELECT
    experiments.experiment_id,
    experiments.started_at,
    latest.as_of_date,
    latest.srm_p_value,
    latest.has_mismatch,
    latest.has_multiple_exposures,
    latest.has_unexpected_traffic,
    latest.multiple_exposure_users,
    latest.multiple_exposure_rate,
    latest.estimated_rows,
    length(experiments.variants) * length(experiments.metrics) AS expected_rows,
    latest.failed_guardrails,
    experiments.guardrail_policy,
    experiments.flag_key
FROM {intermediate:Identifier}.int_experiments AS experiments
LEFT JOIN latest ON experiments.experiment_id = latest.experiment_id
WHERE experiments.ended_at IS NULL
ORDER BY experiments.experiment_id
"""


@dataclass(frozen=True, slots=True)
class Health:
    """An experiment that goes on, at its latest as-of date."""

    experiment_id: str
    started_at: datetime
    as_of: date
    """1970-01-01 while nobody was exposed."""
    srm_p_value: float | None
    has_mismatch: bool
    has_multiple_exposures: bool
    has_unexpected_traffic: bool
    multiple_exposure_users: int | None
    multiple_exposure_rate: float | None
    estimated_rows: int
    expected_rows: int
    failed_guardrails: Sequence[tuple[str, str]]
    """Metric and variant."""
    guardrail_policy: str
    flag_key: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of trouble: its check, and how to see it in an experiment."""

    name: str
    description: str
    severity: dg.AssetCheckSeverity
    is_seen: Callable[[Health, datetime], bool]
    words: Callable[[Health], str]
    """About an experiment in which it is seen."""


def _lacks_rows(health: Health, now: datetime) -> bool:
    is_waited_for = health.estimated_rows > 0 or now - health.started_at > SILENCE
    return is_waited_for and health.estimated_rows < health.expected_rows


TROUBLES = (
    Trouble(
        "users_are_split_as_allocated",
        "Users came to the variants as these were allocated when they came (chi-square test, p < 0.001 is an alarm).",
        dg.AssetCheckSeverity.ERROR,
        lambda health, _: health.has_mismatch,
        lambda health: f"p = {health.srm_p_value:.2g}",
    ),
    Trouble(
        "few_users_see_several_variants",
        "At most 1 % of the users, or 10, saw more than one variant. They are left out of all of them.",
        dg.AssetCheckSeverity.WARN,
        lambda health, _: health.has_multiple_exposures,
        lambda health: f"{health.multiple_exposure_users:,} users, {health.multiple_exposure_rate or 0:.1%}",
    ),
    Trouble(
        "no_unexpected_traffic",
        "Nobody came to a variant while it was allocated nothing, or to one that the experiment does not have.",
        dg.AssetCheckSeverity.WARN,
        lambda health, _: health.has_unexpected_traffic,
        lambda health: "see experiment_exposures_daily",
    ),
    Trouble(
        "every_metric_has_estimates",
        "Every metric of every variant has a row of the latest day, and somebody was exposed on the first day.",
        dg.AssetCheckSeverity.ERROR,
        _lacks_rows,
        lambda health: f"{health.estimated_rows} of {health.expected_rows} rows",
    ),
    Trouble(
        "guardrails_hold",
        "No guardrail is worse than its margin allows, as far as one can tell at any time.",
        dg.AssetCheckSeverity.ERROR,
        lambda health, _: bool(health.failed_guardrails),
        lambda health: ", ".join(f"{metric} of {variant}" for metric, variant in health.failed_guardrails),
    ),
)


def read_health(client: Client, settings: WarehouseSettings) -> list[Health]:
    """The experiments that go on, each at its latest as-of date."""
    databases = {"marts": settings.database("marts"), "intermediate": settings.database("intermediate")}
    return [Health(*row) for row in client.query(_HEALTH, parameters=databases).result_rows]


def judge(trouble: Trouble, experiments: Iterable[Health], now: datetime) -> dg.AssetCheckResult:
    """Pass when no experiment has this trouble, else name those that do."""
    found = {one.experiment_id: trouble.words(one) for one in experiments if trouble.is_seen(one, now)}
    said = "; ".join(f"{experiment}: {words}" for experiment, words in found.items())
    return dg.AssetCheckResult(
        asset_key=ESTIMATES,
        check_name=trouble.name,
        passed=not found,
        severity=trouble.severity,
        description=said or "No experiment that goes on.",
        metadata={"experiments": len(found), "which": dg.MetadataValue.json(found)},
    )
