"""Tells people that a run failed: one line in the log, one message to a webhook."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import dagster as dg
import httpx
import structlog

from dagster_project.config import OrchestrationSettings

log = structlog.get_logger("dagster_project")

WEBHOOK_TIMEOUT_SECONDS = 10.0
ERROR_LENGTH = 2000
"""Characters of the error that an alert carries; the whole of it is in the run."""


@dataclass(frozen=True, slots=True)
class RunFailure:
    """What a person needs to find the run and guess the cause."""

    text: str
    """One sentence, under the name that chat webhooks show."""
    job: str
    run_id: str
    failed_steps: list[str]
    error: str
    failed_at: str


def describe_failure(context: dg.RunFailureSensorContext) -> RunFailure:
    """Gather the failed steps and the first error of the run."""
    run = context.dagster_run
    steps = context.get_step_failure_events()
    errors = [event.step_failure_data.error for event in steps if event.step_failure_data.error]
    # The cause says what went wrong; the outer error only says in which step.
    first = errors[0] if errors else None
    message = (first.cause or first).message if first else (context.failure_event.message or "")
    return RunFailure(
        text=f"Run of {run.job_name} failed",
        job=run.job_name,
        run_id=run.run_id,
        failed_steps=[event.step_key or "" for event in steps],
        error=message.strip()[:ERROR_LENGTH],
        failed_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def post_failure(failure: RunFailure, url: str) -> bool:
    """Post the failure as JSON; True when the receiver accepted it. Never raises: an alert must not fail its sensor."""
    try:
        httpx.post(url, json=asdict(failure), timeout=WEBHOOK_TIMEOUT_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Without the URL: it usually is the secret.
        log.error("alert_webhook_failed", error=type(error).__name__, run_id=failure.run_id)
        return False
    return True


@dg.run_failure_sensor(
    name="failed_run_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    monitor_all_code_locations=False,
    description="Logs every failed run and posts it to ANALYTICS_ALERT_WEBHOOK_URL when that is set.",
)
def failed_run_sensor(context: dg.RunFailureSensorContext) -> None:
    """Log the failure, then call the webhook."""
    failure = describe_failure(context)
    log.error("run_failed", job=failure.job, run_id=failure.run_id, steps=failure.failed_steps, error=failure.error)
    url = OrchestrationSettings().analytics_alert_webhook_url
    if url:
        post_failure(failure, url)
