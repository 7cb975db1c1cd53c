"""The one `Definitions` that Dagster's processes load: `dagster-webserver -m dagster_project.definitions`."""

import dagster as dg

from dagster_project.defs.experiments.estimates import experiment_estimates
from dagster_project.defs.maintenance.housekeeping import housekeeping
from dagster_project.defs.maintenance.run_failure import failed_run_sensor
from dagster_project.defs.maintenance.staleness import freshness_alert_sensor
from dagster_project.defs.ops.replay import replay_requests
from dagster_project.defs.raw.arrivals import new_events_sensor
from dagster_project.defs.raw.assets import source_assets
from dagster_project.defs.raw.freshness_probe import arrival_check, freshness_probe_sensor
from dagster_project.defs.raw.quarantine_checks import quarantine_checks
from dagster_project.defs.resources import DbtCommand, WarehouseResource
from dagster_project.defs.schedules import (
    experiment_results_job,
    experiment_results_schedule,
    hot_marts_job,
    hourly_marts_job,
    hourly_marts_schedule,
    nightly_checks_job,
    nightly_checks_schedule,
)
from dagster_project.defs.transform.assets import models
from dagster_project.defs.transform.drift_checks import drift_checks
from dagster_project.defs.transform.nightly_tests import nightly_checks
from dagster_project.defs.transform.project import dbt_project, manifest
from dagster_project.defs.transform.translator import translator
from dagster_project.defs.transform.watermark_checks import watermark_checks

defs = dg.Definitions(
    assets=[*source_assets(manifest(), translator), models, experiment_estimates, replay_requests, housekeeping],
    asset_checks=[watermark_checks, arrival_check, quarantine_checks, drift_checks, *nightly_checks()],
    jobs=[hot_marts_job, hourly_marts_job, nightly_checks_job, experiment_results_job],
    schedules=[hourly_marts_schedule, experiment_results_schedule, nightly_checks_schedule],
    sensors=[new_events_sensor, freshness_probe_sensor, failed_run_sensor, freshness_alert_sensor],
    resources={"dbt": DbtCommand(project_dir=dbt_project()), "warehouse": WarehouseResource()},
    # A step in a process of its own imports everything again, which costs more than the step.
    executor=dg.in_process_executor,
)
