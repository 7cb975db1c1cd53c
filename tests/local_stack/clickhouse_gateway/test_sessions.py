"""HTTP sessions."""

import secrets
import threading
import time
from typing import Any

import pytest


@pytest.fixture
def session() -> dict[str, str]:
    return {"session_id": secrets.token_hex(4)}


def test_session_keeps_temporary_tables_to_itself(server: Any, session: dict[str, str]) -> None:
    server.run("CREATE TEMPORARY TABLE kept (a Int8)", **session)
    server.run("INSERT INTO kept VALUES (1), (2)", **session)

    assert server.run("SELECT sum(a) FROM kept", **session) == "3\n"
    assert server.post("SELECT * FROM kept").code == 60
    assert server.post("SELECT * FROM kept", session_id="another").code == 60
    assert server.post("SELECT * FROM kept", user="writer", **session).code in (60, 497)


def test_set_lasts_and_parameters_do_not(server: Any, session: dict[str, str]) -> None:
    sql = "SELECT getSetting('max_block_size'), getSetting('join_use_nulls'), getSetting('log_comment')"
    server.run("SET max_block_size = 11, log_comment = 'it''s\\nmine'", max_block_size=12, **session)

    overlaid = server.run(sql, max_block_size=13, join_use_nulls=1, log_comment="x", **session)
    plain = server.run(sql, query_id="q", **session)

    assert overlaid == "13\ttrue\tx\n"
    assert plain == "11\tfalse\tq\n"
    assert server.run("SELECT getSetting('max_block_size')", **session) == "11\n"


def test_setting_is_as_before_when_a_request_failed(server: Any, session: dict[str, str]) -> None:
    server.run("SET max_block_size = 11", **session)
    server.post("SELECT 1", max_block_size=12, no_such_setting=1, **session)
    server.post("SELECT missing", max_block_size=13, **session)

    assert server.run("SELECT getSetting('max_block_size')", **session) == "11\n"


def test_use_lasts_and_the_database_parameter_does_not(server: Any, session: dict[str, str]) -> None:
    server.run("USE marts", **session)

    assert server.run("SELECT currentDatabase()", database="private", **session) == "private\n"
    assert server.run("SELECT currentDatabase()", **session) == "marts\n"
    assert server.run("SELECT count() FROM orders", **session) == "1000\n"


def test_session_runs_one_query_at_a_time(server: Any, session: dict[str, str]) -> None:
    running = threading.Thread(target=server.run, args=("SELECT sleep(1)",), kwargs=session)
    running.start()
    time.sleep(0.3)

    refused = server.post("SELECT 1", **session)
    running.join()

    assert (refused.status, refused.code) == (500, 373)
    assert "is locked by a concurrent client" in refused.text
    assert server.run("SELECT 1", **session) == "1\n"


def test_session_must_exist_when_it_is_checked(server: Any, session: dict[str, str]) -> None:
    missing = server.post("SELECT 1", session_check=1, **session)
    server.run("SELECT 1", **session)

    assert (missing.status, missing.code) == (500, 372)
    assert server.post("SELECT 1", session_check=1, **session).status == 200


def test_session_ends_after_its_timeout(server: Any, session: dict[str, str]) -> None:
    server.run("SELECT 1", session_timeout=1, **session)
    deadline = time.monotonic() + 10

    time.sleep(2.5)

    assert server.post("SELECT 1", session_check=1, **session).code == 372
    assert time.monotonic() < deadline


@pytest.mark.parametrize("timeout", ["soon", "-1", "3601"])
def test_timeout_is_refused_when_it_is_no_number_or_too_long(server: Any, session: Any, timeout: str) -> None:
    assert server.post("SELECT 1", session_timeout=timeout, **session).code == 374


def test_session_is_closed_on_demand(server: Any, session: dict[str, str]) -> None:
    server.run("CREATE TEMPORARY TABLE kept (a Int8)", **session)
    server.run("SELECT 1", close_session=1, **session)

    assert server.post("SELECT * FROM kept", **session).code == 60


def test_session_of_a_reader_stays_read_only(server: Any, session: dict[str, str]) -> None:
    assert server.post("SET readonly = 0", user="bi_reader", **session).code == 164
    assert server.post("SET max_execution_time = 5", user="bi_reader", **session).status == 200
    assert server.post("SET max_execution_time = 50", user="bi_reader", **session).code == 452
    assert server.post("SELECT getSetting('max_execution_time')", user="bi_reader", **session).text == "5\n"
