"""Tells people that a run failed."""

from datetime import UTC, datetime

import dagster as dg

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.maintenance.alerts import Alert, send_alert

ERROR_LENGTH = 2000
"""Characters of the error that an alert carries; the whole of it is in the run."""


def describe_failure(context: dg.RunFailureSensorContext) -> Alert:
    """Gather the failed steps and the first error of the run."""
    run = context.dagster_run
    steps = context.get_step_failure_events()
    errors = [event.step_failure_data.error for event in steps if event.step_failure_data.error]
    # The cause says what went wrong; the outer error only says in which step.
    first = errors[0] if errors else None
    message = (first.cause or first).message if first else (context.failure_event.message or "")
    return Alert(
        event="run_failed",
        text=f"Run of {run.job_name} failed",
        details={
            "job": run.job_name,
            "run_id": run.run_id,
            "failed_steps": [event.step_key or "" for event in steps],
            "error": message.strip()[:ERROR_LENGTH],
            "failed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


@dg.run_failure_sensor(
    name="failed_run_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    monitor_all_code_locations=False,
    description="Logs every failed run and sends it to ANALYTICS_ALERT_WEBHOOK_URL and by e-mail where these are set.",
)
def failed_run_sensor(context: dg.RunFailureSensorContext) -> None:
    """Describe the failure and send it."""
    send_alert(describe_failure(context), OrchestrationSettings())
