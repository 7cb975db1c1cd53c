import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest
import structlog.testing

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.maintenance.alerts import Alert, send_alert


class Receiver(HTTPServer):
    """A chat's webhook; it answers with one status after the other and then stays with the last."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = list(statuses)
        self.received: list[dict[str, object]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append(json.loads(body))
        statuses = self.server.statuses
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class MailServer(socketserver.TCPServer):
    """Takes one message without TLS and login, as a relay inside a network does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.commands: list[str] = []
        self.message = ""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline().decode().strip():
            self.server.commands.append(line)
            if line.lower() == "data":
                self.wfile.write(b"354 go on\r\n")
                while (text := self.rfile.readline().decode()) != ".\r\n":
                    self.server.message += text
            self.wfile.write(b"221 bye\r\n" if line.lower() == "quit" else b"250 ok\r\n")


@pytest.fixture(params=[(200,)])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    yield from serving(Receiver(*request.param))


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    yield from serving(MailServer())


def serving(server: socketserver.BaseServer) -> Iterator[socketserver.BaseServer]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def in_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_project.defs.maintenance.alerts._patiently.wait", lambda _: 0)


@dg.op
def divide() -> None:
    raise ValueError("cannot divide the cake")


@dg.job
def broken_job() -> None:
    divide()


@pytest.fixture
def failure(instance: dg.DagsterInstance) -> dg.RunFailureSensorContext:
    result = broken_job.execute_in_process(instance=instance, raise_on_error=False)
    return dg.build_run_status_sensor_context(
        sensor_name="failed_run_sensor",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
    ).for_run_failure()


def test_failed_run_is_logged_and_posted_when_a_webhook_is_set(
    definitions: dg.Definitions,
    failure: dg.RunFailureSensorContext,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANALYTICS_ALERT_WEBHOOK_URL", receiver.url)

    with structlog.testing.capture_logs() as logs:
        definitions.resolve_sensor_def("failed_run_sensor")(failure)

    [alert] = receiver.received
    assert alert["text"] == "Run of broken_job failed"
    assert alert["job"] == "broken_job"
    assert alert["run_id"] == failure.dagster_run.run_id
    assert alert["failed_steps"] == ["divide"]
    assert alert["error"] == "ValueError: cannot divide the cake"
    assert [line["event"] for line in logs] == ["run_failed"]


def test_failed_run_is_only_logged_when_no_webhook_is_set(
    definitions: dg.Definitions, failure: dg.RunFailureSensorContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_ALERT_WEBHOOK_URL", "")

    with structlog.testing.capture_logs() as logs:
        definitions.resolve_sensor_def("failed_run_sensor")(failure)

    assert [(line["event"], line["log_level"]) for line in logs] == [("run_failed", "error")]


@pytest.mark.parametrize("receiver", [(500,)], indirect=True)
def test_refused_alert_is_logged_without_its_secret_url(
    definitions: dg.Definitions,
    failure: dg.RunFailureSensorContext,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANALYTICS_ALERT_WEBHOOK_URL", receiver.url)

    with structlog.testing.capture_logs() as logs:
        definitions.resolve_sensor_def("failed_run_sensor")(failure)

    assert [line["event"] for line in logs] == ["run_failed", "alert_webhook_failed"]
    assert receiver.url not in str(logs)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/nobody", "no address"])
def test_unreachable_webhook_does_not_fail_the_sensor(
    definitions: dg.Definitions, failure: dg.RunFailureSensorContext, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ANALYTICS_ALERT_WEBHOOK_URL", url)

    with structlog.testing.capture_logs() as logs:
        definitions.resolve_sensor_def("failed_run_sensor")(failure)

    assert [line["event"] for line in logs] == ["run_failed", "alert_webhook_failed"]


@pytest.mark.parametrize("receiver", [(503, 200)], indirect=True)
def test_receiver_that_is_away_for_a_moment_gets_the_alert_later(receiver: Receiver) -> None:
    settings = OrchestrationSettings(analytics_alert_webhook_url=receiver.url)

    with structlog.testing.capture_logs() as logs:
        send_alert(Alert("late", "A table is late", {"tables": ["marts/sessions"]}), settings)

    assert receiver.received == [{"text": "A table is late", "tables": ["marts/sessions"]}] * 2
    assert [line["event"] for line in logs] == ["late"]


def test_alert_is_mailed_to_every_address(mail_server: MailServer) -> None:
    settings = OrchestrationSettings(
        analytics_alert_smtp_url=mail_server.url,
        analytics_alert_email_from="dagster@shop.example",
        analytics_alert_email_to="ann@shop.example, bob@shop.example",
    )

    send_alert(Alert("late", "A table is late", {"tables": ["marts/sessions"]}), settings)

    assert [line for line in mail_server.commands if line.lower().startswith("rcpt")] == [
        "rcpt TO:<ann@shop.example>",
        "rcpt TO:<bob@shop.example>",
    ]
    assert "Subject: A table is late" in mail_server.message
    assert '"marts/sessions"' in mail_server.message


def test_password_is_never_mailed_in_the_clear(mail_server: MailServer) -> None:
    settings = OrchestrationSettings(
        analytics_alert_smtp_url=mail_server.url.replace("//", "//ann:secret@"),
        analytics_alert_email_from="dagster@shop.example",
        analytics_alert_email_to="ann@shop.example",
    )

    with structlog.testing.capture_logs() as logs:
        send_alert(Alert("late", "A table is late"), settings)

    assert [line["event"] for line in logs] == ["late", "alert_email_failed"]
    assert not [line for line in mail_server.commands if line.lower().startswith("auth")]
    assert "secret" not in str(logs)


def test_mail_without_a_recipient_does_not_fail_the_sensor() -> None:
    settings = OrchestrationSettings(analytics_alert_smtp_url="smtp://127.0.0.1:1")

    with structlog.testing.capture_logs() as logs:
        send_alert(Alert("late", "A table is late"), settings)

    assert [line["event"] for line in logs] == ["late", "alert_email_failed"]
