"""What Dagster needs from the environment; where the warehouse is stands in `warehouse.config`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

DBT_DIRECTORY = Path(__file__).resolve().parents[1] / "dbt"


class OrchestrationSettings(BaseSettings):
    """Directories of state, and how runs start and alert."""

    dagster_home: Path | None = None
    """Directory of the Dagster instance; runs, ticks and its `dagster.yaml` live there."""
    dagster_pg_url: str = ""
    """`postgresql+psycopg2://...` to keep the instance in PostgreSQL; empty for SQLite in `DAGSTER_HOME`."""
    dbt_target_path: Path = Path("target")
    """Where dbt writes its manifest and each run its logs; relative to `dbt/` unless absolute."""
    analytics_run_interval_seconds: int = Field(default=300, ge=0)
    """Least time between two runs that newly arrived events start."""
    analytics_alert_webhook_url: str = ""
    """Where alerts (a failed run, a late table) are posted as JSON that chats understand; empty: nowhere."""
    analytics_alert_smtp_url: str = Field(default="", repr=False)
    """`smtp://user:password@host:587` (STARTTLS) or `smtps://...` of the server that mails alerts; empty: none."""
    analytics_alert_email_from: str = ""
    """Sender of these e-mails."""
    analytics_alert_email_to: str = ""
    """Whom they go to; several addresses are separated by commas."""
    analytics_probe_url: str = ""
    """Address of the API to which an event is sent each minute to measure how long it takes to arrive; empty: none."""
    analytics_probe_write_key: str = Field(default="", repr=False)
    """Write key of that event; empty: none is sent."""
    analytics_guardrail_api_url: str = ""
    """Address of the API where the flag of an experiment is turned off when a guardrail failed; empty: none is."""
    analytics_guardrail_api_token: str = Field(default="", repr=False)
    """API token for it, with the permission to write flags; empty: none is turned off."""
    analytics_flush_interval: int = Field(default=30_000, ge=10, le=3_600_000)
    """Milliseconds that the flusher lets events wait, which the probe allows for."""
