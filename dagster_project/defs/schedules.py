"""Which parts run together, and when."""

import dagster as dg

from dagster_project.defs.raw.assets import ARRIVAL_CHECK
from dagster_project.defs.raw.quarantine_checks import quarantine_checks
from dagster_project.defs.transform.assets import models
from dagster_project.defs.transform.drift_checks import drift_checks
from dagster_project.defs.transform.lanes import Lane
from dagster_project.defs.transform.nightly_tests import nightly_test_specs
from dagster_project.defs.transform.translator import ESTIMATES, LANE_TAG, REPLAY_REQUESTS

HEAVY_CHECKS = dg.AssetSelection.checks(*(spec.key for spec in nightly_test_specs().values()), *drift_checks.check_keys)
# An asset brings its checks along. Those on sources have no asset here that could bring them.
SOURCE_CHECKS = dg.AssetSelection.checks(*(key for key in models.check_keys if key.asset_key not in models.keys))
EXPERIMENTS_TAG = "experiments"
"""dbt tag of the models of experiments."""


def tables_of(lane: Lane) -> dg.AssetSelection:
    """The tables of a lane with their checks."""
    return dg.AssetSelection.tag(LANE_TAG, lane.value)


# The tag of a job is that of its runs, to find them by.
hot_marts_job = dg.define_asset_job(
    "hot_marts_job",
    selection=(tables_of(Lane.HOT) | SOURCE_CHECKS) - HEAVY_CHECKS,
    tags={LANE_TAG: Lane.HOT.value},
    description="Takes in what has arrived since the last run, as far as dashboards look at it.",
)

hourly_marts_job = dg.define_asset_job(
    "hourly_marts_job",
    selection=(
        tables_of(Lane.HOT)
        | tables_of(Lane.HOURLY)
        | SOURCE_CHECKS
        | dg.AssetSelection.checks(*quarantine_checks.check_keys)
    )
    - HEAVY_CHECKS,
    tags={LANE_TAG: Lane.HOURLY.value},
    description="Takes in what has arrived since the last run, from staging to marts, with the checks on the way.",
)

experiment_results_job = dg.define_asset_job(
    "experiment_results_job",
    # With all that stands before them: results are to hold what has arrived until now.
    selection=(
        dg.AssetSelection.tag(EXPERIMENTS_TAG, "").upstream().materializable() | dg.AssetSelection.assets(ESTIMATES)
    )
    - HEAVY_CHECKS,
    tags={LANE_TAG: Lane.HOURLY.value},
    description="Takes in what has arrived and computes the results of all experiments; the API starts it as well.",
)

nightly_checks_job = dg.define_asset_job(
    "nightly_checks_job",
    # Replays are asked for by hand. The check of the probe is reported each minute without a run.
    selection=(dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks())
    - dg.AssetSelection.assets(REPLAY_REQUESTS)
    - dg.AssetSelection.checks(ARRIVAL_CHECK),
    tags={LANE_TAG: Lane.NIGHTLY.value},
    description="Everything, with the tables and checks that read all of history, and the housekeeping.",
)

# Schedules and sensors are on from the first start: data must flow without a hand.
hourly_marts_schedule = dg.ScheduleDefinition(
    name="hourly_marts_schedule",
    job=hourly_marts_job,
    cron_schedule="7 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

# A run of its own: a failed check of a mart that has nothing to do with experiments does not keep their results back.
experiment_results_schedule = dg.ScheduleDefinition(
    name="experiment_results_schedule",
    job=experiment_results_job,
    cron_schedule="37 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

nightly_checks_schedule = dg.ScheduleDefinition(
    name="nightly_checks_schedule",
    job=nightly_checks_job,
    cron_schedule="15 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
