"""Tells people: one line in the log, one message to a webhook, one e-mail, whichever are set."""

import json
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from dagster_project.config import OrchestrationSettings

log = structlog.get_logger("dagster_project")

TIMEOUT_SECONDS = 5.0
_patiently = Retrying(
    # A sensor's tick may take a minute.
    stop=stop_after_attempt(3),
    wait=wait_fixed(1),
    retry=retry_if_exception_type((httpx.HTTPError, OSError)),
    reraise=True,
)


@dataclass(frozen=True, slots=True)
class Alert:
    """What happened, and what a person needs to look into it."""

    event: str
    """A word for logs, for example `run_failed`."""
    text: str
    """One sentence, under the name that chat webhooks (Slack, Mattermost, Google Chat) show."""
    details: Mapping[str, Any] = field(default_factory=dict)


def send_alert(alert: Alert, settings: OrchestrationSettings) -> None:
    """Log the alert and send it wherever one is set. Never raises: an alert must not fail its sensor."""
    log.error(alert.event, **alert.details)
    for way, target, send in (
        ("webhook", settings.analytics_alert_webhook_url, post),
        ("email", settings.analytics_alert_smtp_url, mail),
    ):
        try:
            if target:
                _patiently(send, alert, settings)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            # Without the URL: it holds the secret.
            log.error(f"alert_{way}_failed", error=type(error).__name__, alert=alert.event)


def post(alert: Alert, settings: OrchestrationSettings) -> None:
    """Post the alert as JSON: `text`, then the details."""
    body = {"text": alert.text, **alert.details}
    httpx.post(settings.analytics_alert_webhook_url, json=body, timeout=TIMEOUT_SECONDS).raise_for_status()


def mail(alert: Alert, settings: OrchestrationSettings) -> None:
    """Send the alert to every address in `ANALYTICS_ALERT_EMAIL_TO`.

    Raises:
        ValueError: the server's URL has no host, or an address is missing.
    """
    server = urlsplit(settings.analytics_alert_smtp_url)
    if not server.hostname or not settings.analytics_alert_email_to or not settings.analytics_alert_email_from:
        raise ValueError("An e-mail needs a server, a sender and somebody to send it to.")
    message = EmailMessage()
    message["Subject"] = alert.text
    message["From"], message["To"] = settings.analytics_alert_email_from, settings.analytics_alert_email_to
    message.set_content(f"{alert.text}\n\n{json.dumps(alert.details, indent=2)}\n")
    tls = ssl.create_default_context()
    if server.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.hostname, server.port or 465, timeout=TIMEOUT_SECONDS, context=tls
        )
    else:
        connection = smtplib.SMTP(server.hostname, server.port or 587, timeout=TIMEOUT_SECONDS)
    with connection:
        if server.username:
            if server.scheme != "smtps":
                # Never a password in the clear.
                connection.starttls(context=tls)
            connection.login(unquote(server.username), unquote(server.password or ""))
        connection.send_message(message)
