"""Which parts run together, and when."""

import dagster as dg

from dagster_project.defs.raw.assets import ARRIVAL_CHECK
from dagster_project.defs.raw.quarantine_checks import quarantine_checks
from dagster_project.defs.transform.assets import models
from dagster_project.defs.transform.nightly_tests import nightly_test_specs

# An asset brings its checks along. Those on sources have no asset here that could bring them.
HOURLY = (
    dg.AssetSelection.tag("hourly", "")
    | dg.AssetSelection.checks(*(key for key in models.check_keys if key.asset_key not in models.keys))
    | dg.AssetSelection.checks(*quarantine_checks.check_keys)
) - dg.AssetSelection.checks(*(spec.key for spec in nightly_test_specs().values()))

hourly_marts_job = dg.define_asset_job(
    "hourly_marts_job",
    selection=HOURLY,
    description="Takes in what has arrived since the last run, from staging to marts, with the checks on the way.",
)

nightly_checks_job = dg.define_asset_job(
    "nightly_checks_job",
    # The check of the probe is reported each minute without a run.
    selection=(dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks())
    - dg.AssetSelection.checks(ARRIVAL_CHECK),
    description="Everything, with the checks that read whole tables, and the housekeeping.",
)

# Schedules and sensors are on from the first start: data must flow without a hand.
hourly_marts_schedule = dg.ScheduleDefinition(
    name="hourly_marts_schedule",
    job=hourly_marts_job,
    cron_schedule="7 * * * *",
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
