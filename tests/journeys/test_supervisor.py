"""Starting, stopping and losing the stack, as somebody at a terminal sees it. Dagster starts slowly: see test_demo."""

import os
import signal
import socket

import pytest

from tests.journeys.conftest import Journey, eventually, runs

EVENTS = [{"eventName": "page_view", "userId": "u1", "eventId": f"event-{number}"} for number in range(50)]


def test_killed_process_stops_the_stack_and_the_next_start_has_lost_nothing(journey: Journey) -> None:
    started = journey.run("up", "--detach", "--no-dagster")
    assert started.returncode == 0, started.stdout + started.stderr
    before = journey.pids()
    shown, second = journey.run("status"), journey.run("up")
    assert journey.post(*EVENTS).status_code == 202

    os.kill(before["clickhouse"], signal.SIGKILL)
    stopped = eventually(lambda: not any(map(runs, before.values())))
    log = journey.programs.state.log_path("stack").read_text()
    again = journey.run("up", "--detach", "--no-dagster")
    delivered = eventually(lambda: set(journey.stored_event_ids()) == {event["eventId"] for event in EVENTS})
    down, afterwards = journey.run("down"), journey.run("status")

    assert shown.stdout.count("healthy") == 3
    assert shown.stdout.count("alive") == 1
    assert second.returncode == 1
    assert "The stack is already running" in second.stderr
    assert stopped
    assert "clickhouse was killed by SIGKILL" in log
    assert again.returncode == 0
    assert delivered
    assert "Stopped." in down.stdout
    assert afterwards.returncode == 3


def test_nothing_outlives_a_supervisor_that_is_killed(journey: Journey) -> None:
    supervisor = journey.start("up", "--no-dagster")
    assert eventually(journey.programs.state.is_ready, timeout_seconds=60)
    before = journey.pids()

    supervisor.kill()
    supervisor.communicate()

    assert eventually(lambda: not any(map(runs, before.values())))
    assert journey.run("status").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_everything_in_order(journey: Journey, number: signal.Signals) -> None:
    supervisor = journey.start("up", "--no-dagster")
    assert eventually(journey.programs.state.is_ready, timeout_seconds=60)
    before = journey.pids()

    # As a terminal does it: to the whole foreground group, of which only the supervisor is a member.
    os.killpg(supervisor.pid, number)
    output, _ = supervisor.communicate(timeout=60)

    assert supervisor.returncode == 0, output
    assert not any(map(runs, before.values()))
    assert journey.access.token in output
    assert journey.access.write_key in output
    assert journey.programs.credentials.clickhouse_password not in output
    assert "api            | " in output


def test_taken_port_is_one_sentence(journey: Journey) -> None:
    port = journey.programs.settings.ports.valkey

    with socket.create_server(("127.0.0.1", port)):
        answer = journey.run("up", "--no-dagster")

    assert answer.returncode == 1
    assert f"Port {port} is taken by another program, and valkey needs it" in answer.stderr
    assert "LOCAL_STACK_VALKEY_PORT" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_reset_asks_before_it_deletes(journey: Journey) -> None:
    state = journey.programs.state
    with state.held():
        refused = journey.run("reset", "--yes")

    kept = journey.run("reset", answer="n\n")
    kept_secrets = state.credentials_file.exists()
    deleted = journey.run("reset", answer="y\n")

    assert refused.returncode == 1
    assert "stop it with" in refused.stderr
    assert kept.returncode == 1
    assert kept_secrets
    assert deleted.returncode == 0
    assert not state.path.exists()
