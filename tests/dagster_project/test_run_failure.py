import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest
import structlog.testing


class Receiver(HTTPServer):
    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.received: list[dict[str, object]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[200])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    with Receiver(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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


@pytest.mark.parametrize("receiver", [500], indirect=True)
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
