"""What readers cannot do."""

from typing import Any

import pytest

PASSWD = "'/etc/passwd'"


def test_reader_reads_what_is_granted(server: Any) -> None:
    assert server.post("SELECT count() FROM orders", "bi_reader").text == "1000\n"
    assert "orders\n" in server.post("SHOW TABLES", "bi_reader").text
    assert server.post("SELECT name FROM system.databases WHERE name LIKE 'p%'", "bi_reader").text == ""
    refused = server.post("SELECT * FROM private.people", "bi_reader")

    assert (refused.status, refused.code) == (403, 497)
    assert "bi_reader: Not enough privileges" in refused.text


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO marts.orders VALUES (1)",
        "INSERT INTO marts.orders SELECT 1",
        "CREATE TABLE marts.x (a Int8) ENGINE = Memory",
        "CREATE DATABASE x",
        "CREATE TEMPORARY TABLE x (a Int8)",
        "DROP TABLE marts.orders",
        "ALTER TABLE marts.orders DELETE WHERE 1",
        "DELETE FROM marts.orders WHERE 1",
        "TRUNCATE TABLE marts.orders",
        "OPTIMIZE TABLE marts.orders",
        "RENAME TABLE marts.orders TO marts.x",
        "CREATE FUNCTION f AS x -> x",
        "GRANT SELECT ON *.* TO default",
        "SYSTEM FLUSH LOGS",
        "KILL QUERY WHERE 1",
        "BACKUP DATABASE marts TO File('/tmp/x')",
        "EXECUTE AS default SELECT 1",
        "SET ROLE ALL",
        "set /* hidden */ role gateway_default",
        "SET DEFAULT ROLE ALL TO default",
        "SET\u00a0ROLE ALL",
        "SET /* /* */ max_threads = 1 -- */ ROLE ALL",
        "SET # \n ROLE ALL",
        "SET // \n ROLE ALL",
        "SET max_threads = 1; SET ROLE ALL",
    ],
)
@pytest.mark.parametrize("user", ["bi_reader", "auditor"])
def test_reader_changes_nothing(server: Any, sql: str, user: str) -> None:
    answer = server.post(sql.encode(), user)

    assert answer.code in (62, 164, 497)
    assert server.run("SELECT count() FROM marts.orders") == "1000\n"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT file({PASSWD})",
        f"SELECT file({PASSWD}) FORMAT Null",
        f"SELECT file({PASSWD}) FORMAT JSON",
        f"SELECT file({PASSWD}) // '\n FORMAT JSONEachRow -- '",
        f"SELECT file({PASSWD}) /* /* */ FORMAT JSONEachRow -- */",
        f"EXPLAIN SELECT file({PASSWD}) FORMAT JSON",
        f"DESCRIBE (SELECT file({PASSWD})) FORMAT JSONEachRow",
        f"SELECT `fil\\x65`({PASSWD})",
        f"SELECT number FROM numbers(1) WHERE file /* x */ ({PASSWD}) != ''",
        f"WITH x AS (SELECT file({PASSWD}) AS y) SELECT * FROM x",
        f"EXPLAIN SELECT file({PASSWD})",
        f"DESCRIBE (SELECT file({PASSWD}))",
        f"SHOW TABLES WHERE name = file({PASSWD})",
        f"SELECT * FROM file({PASSWD}, LineAsString)",
        f"SELECT * FROM default.`{PASSWD[1:-1]}`",
        "SELECT * FROM filesystem('/etc')",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a Int8')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/x.csv', CSV, 'a Int8')",
        "SELECT * FROM remote('127.0.0.1', system.one)",
        "SELECT * FROM sqlite('/tmp/x', 't')",
        "SELECT * FROM Python(settings)",
        f"SELECT 1 FORMAT Template SETTINGS format_template_row = {PASSWD}",
        f"SELECT 1 FORMAT CapnProto SETTINGS format_schema = '{PASSWD[1:-1]}:A'",
        "SELECT 1 AS a SETTINGS additional_result_filter = 'file(\\'/etc/passwd\\') = 1'",
        "SELECT 1 SETTINGS dialect = 'prql'",
        "SELECT * FROM eval('SELECT file(''/etc/passwd'')') SETTINGS allow_experimental_eval_table_function = 1",
        "SELECT 1 AS a FORMAT Protobuf SETTINGS output_format_schema = '/tmp/clickhouse_gateway_schema'",
        "SELECT 1 INTO OUTFILE '/tmp/clickhouse_gateway_outfile'",
        f"INSERT INTO marts.orders FROM INFILE {PASSWD} FORMAT LineAsString",
    ],
)
@pytest.mark.parametrize("user", ["bi_reader", "auditor"])
def test_reader_stays_inside_of_the_engine(server: Any, sql: str, user: str) -> None:
    answer = server.post(sql, user)

    assert answer.status >= 400
    assert answer.code in (36, 60, 62, 78, 164, 358, 452, 497)
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"max_memory_usage": 0}, 452),
        ({"max_memory_usage": 10**12}, 452),
        ({"max_execution_time": 0}, 452),
        ({"readonly": 0}, 164),
        ({"profile": "default"}, 164),
        ({"dialect": "kusto"}, 452),
    ],
)
def test_reader_raises_no_limit(server: Any, params: dict[str, Any], code: int) -> None:
    by_parameter = server.post("SELECT 1", "bi_reader", **params)
    clause = ", ".join(f"{name} = {value!r}" for name, value in params.items())
    by_clause = server.post(f"SELECT 1 SETTINGS {clause}", "bi_reader")
    by_statement = server.post(f"SET {clause}", "bi_reader")

    assert by_parameter.code == code
    assert {by_clause.code, by_statement.code} <= {164, 452}


@pytest.mark.parametrize(
    "sql", ["SELECT 'Köln' AS `Straße` FORMAT JSONCompactEachRow", "SHOW TABLES LIKE 'o%' FORMAT CSV"]
)
def test_reader_may_name_a_format(server: Any, sql: str) -> None:
    answer = server.post(sql.encode(), "bi_reader")

    assert answer.text in ('["Köln"]\n', '"orders"\n')


def test_reader_may_name_settings(server: Any) -> None:
    plain = server.post("SELECT 1 FORMAT CSV SETTINGS max_threads = 1, join_use_nulls = 'true'", "bi_reader")
    tricky = server.post("SELECT 1 FORMAT CSV SETTINGS max_threads = 1 /* */, join_use_nulls = 1", "bi_reader")

    assert plain.text == "1\n"
    assert tricky.code == 497


def test_reader_changes_settings_within_the_constraints(server: Any) -> None:
    sql = "SELECT getSetting('max_execution_time'), getSetting('max_memory_usage'), getSetting('readonly')"

    assert server.post(sql, "bi_reader").text == "20\t200000000\t2\n"
    assert server.post(sql, "bi_reader", max_execution_time=3).text == "3\t200000000\t2\n"


def test_memory_of_a_reader_is_bounded(server: Any) -> None:
    assert server.post("SELECT groupArray(number) FROM numbers(1e8) FORMAT Null", "bi_reader").code == 241


def test_frozen_user_changes_no_setting(server: Any) -> None:
    assert server.post("SELECT 1", "auditor").text == "1\n"
    assert server.post("SELECT 1", "auditor", max_threads=1).code == 164


def test_reader_sees_no_query_of_others(server: Any) -> None:
    sql = "SELECT count() FROM system.processes"

    assert server.post(sql, "bi_reader").text == "0\n"
    assert int(server.run(sql)) >= 1


def test_writer_inserts_without_reading_files(server: Any) -> None:
    server.run("CREATE TABLE IF NOT EXISTS marts.notes (note String) ENGINE = MergeTree ORDER BY note")

    written = server.post("INSERT INTO marts.notes VALUES ('mine')", "writer")
    infile = server.post(f"INSERT INTO marts.notes FROM INFILE {PASSWD} FORMAT LineAsString", "writer")
    function = server.post(f"INSERT INTO marts.notes SELECT file({PASSWD})", "writer")
    expression = server.post(f"INSERT INTO marts.notes VALUES (file({PASSWD}))", "writer")

    assert written.status == 200
    assert [infile.code, function.code] == [78, 497]
    assert expression.status >= 400
    assert server.run("SELECT * FROM marts.notes") == "mine\n"
