"""The estimates of all experiments as an asset, with what is wrong with an experiment as its checks."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.experiments.guardrail_policy import disable_flags
from dagster_project.defs.experiments.health import TROUBLES, judge, read_health
from dagster_project.defs.experiments.moments import Columns, read_arrivals, read_moments
from dagster_project.defs.resources import WarehouseResource, patiently
from dagster_project.defs.transform.assets import WAREHOUSE_POOL
from dagster_project.defs.transform.project import manifest
from dagster_project.defs.transform.translator import ESTIMATES, default_owners
from warehouse.client import Client
from warehouse.config import WarehouseSettings

TABLE = "experiment_estimates"
READS = [
    dg.AssetKey(["marts", "experiment_metric_aggregates"]),
    dg.AssetKey(["marts", "experiment_exposures_daily"]),
]


def compute(client: Client, settings: WarehouseSettings, now: datetime) -> Columns:
    """Compute the estimates of every experiment and day anew, store and return them.

    Of earlier days as well: an always-valid p-value is the least one so far, so a series is computed as a whole.
    """
    # It needs scipy, which processes that only look at the definitions need not load.
    from dagster_project.defs.experiments.estimation import estimate

    table = estimate(read_moments(client, settings), read_arrivals(client, settings), now)
    if len(table["experiment_id"]):
        client.insert(
            TABLE,
            [column.tolist() for column in table.values()],
            column_names=list(table),
            database=settings.database("stats"),
            column_oriented=True,
        )
    return table


@dg.asset(
    key=ESTIMATES,
    group_name="experiments",
    kinds={"python", "clickhouse"},
    owners=default_owners(manifest()),
    pool=WAREHOUSE_POOL,
    deps=READS,
    check_specs=[dg.AssetCheckSpec(one.name, asset=ESTIMATES, description=one.description) for one in TROUBLES],
    description="One row per row of experiment_metric_aggregates: what the statistics say of it. All experiments and "
    "days are computed in one pass. A flag whose experiment says so is turned off when a guardrail failed.",
)
def experiment_estimates(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Compute, judge the experiments that go on, and act on failed guardrails."""
    now = datetime.now(UTC)
    with patiently(context), warehouse.client() as client:
        table = compute(client, warehouse.settings, now)
        experiments = read_health(client, warehouse.settings)
    disabled = disable_flags(experiments, OrchestrationSettings())
    days: list[date] = table["as_of_date"].tolist()
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(days),
            "row_count": len(days),
            "experiments": len(set(table["experiment_id"].tolist())),
            "as_of": max(days).isoformat() if days else "",
            "disabled_flags": disabled,
        }
    )
    for trouble in TROUBLES:
        yield judge(trouble, experiments, now)
