"""Cutting SQL."""

import pytest

from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.statements import (
    check_end_of_values,
    check_format_name,
    first_words,
    insert_head,
    output_clause,
)


@pytest.mark.parametrize(
    ("sql", "statement", "rows"),
    [
        ("INSERT INTO t FORMAT CSV\n1,2\n", "INSERT INTO t {} FORMAT CSV", "1,2\n"),
        ("insert into t format CSV\r\n1", "insert into t {} FORMAT CSV", "1"),
        ("INSERT INTO d.t (a, b) FORMAT TSV 1", "INSERT INTO d.t (a, b) {} FORMAT TSV", "1"),
        ("INSERT INTO t (a) VALUES (1), (2)", "INSERT INTO t (a) {} FORMAT Values", " (1), (2)"),
        ("INSERT INTO t FORMAT Values (1)", "INSERT INTO t {} FORMAT Values", " (1)"),
        ("INSERT INTO TABLE `format` FORMAT CSV\n1", "INSERT INTO TABLE `format` {} FORMAT CSV", "1"),
        ("INSERT INTO values VALUES (1)", "INSERT INTO values {} FORMAT Values", " (1)"),
        ("INSERT INTO t SETTINGS x = 1 FORMAT CSV\n1", "INSERT INTO t {} SETTINGS x = 1 FORMAT CSV", "1"),
        (
            "INSERT INTO t FORMAT JSONEachRow SETTINGS x = 1, y = 'a' {}",
            "INSERT INTO t {} SETTINGS x = 1, y = 'a' FORMAT JSONEachRow",
            "{}",
        ),
        ("INSERT INTO t FORMAT CSV\nsettings,1", "INSERT INTO t {} FORMAT CSV", "settings,1"),
        ("/* FORMAT x */ INSERT INTO t -- FORMAT y\nFORMAT CSV\n1", "/* FORMAT x */ INSERT INTO t {} FORMAT CSV", "1"),
        ("INSERT INTO {t:Identifier} FORMAT CSV\n1", "INSERT INTO {{t:Identifier}} {} FORMAT CSV", "1"),
        ("INSERT INTO FUNCTION null('a Int8') FORMAT CSV\n1", "INSERT INTO FUNCTION null('a Int8') {} FORMAT CSV", "1"),
        ("INSERT INTO t (* EXCEPT(b)) FORMAT CSV\n1", "INSERT INTO t (* EXCEPT(b)) {} FORMAT CSV", "1"),
    ],
)
def test_insert_is_cut_where_its_rows_begin(sql: str, statement: str, rows: str) -> None:
    text = sql.encode()

    head = insert_head(text, complete=True)

    assert head is not None
    expected = statement.format("FROM INFILE '/f' COMPRESSION 'none'")
    assert " ".join(head.reading("/f").replace("-- FORMAT y\n", "").split()) == expected
    assert text[head.data_start :].decode() == rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FORMAT CSV",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t (a) SELECT 1 AS format",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
        "INSERT INTO t",
        "",
    ],
)
def test_other_statements_have_no_rows(sql: str) -> None:
    assert insert_head(sql.encode(), complete=True) is None


def test_insert_waits_for_more_text_when_its_format_may_go_on() -> None:
    text = b"INSERT INTO t FORMAT JSON"

    assert insert_head(text, complete=False) is None
    assert insert_head(text + b"EachRow\n{}", complete=False) is not None


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT LineAsString", 78),
        ("INSERT INTO t SELECT a FROM input('a Int8') FORMAT CSV 1", 48),
        ("INSERT INTO t FORMAT CSV; 1", 62),
    ],
)
def test_insert_is_refused_when_a_server_would_or_the_engine_could_not(sql: str, code: int) -> None:
    with pytest.raises(ClickHouseError) as refused:
        insert_head(sql.encode(), complete=True)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("sql", "before", "output_format", "after"),
    [
        ("SELECT 1", "SELECT 1", None, ""),
        ("SELECT 1; -- end", "SELECT 1", None, ""),
        ("SELECT 1 FORMAT JSON", "SELECT 1 ", "JSON", ""),
        ("SELECT 1 FORMAT JSON SETTINGS a = 1;", "SELECT 1 ", "JSON", "SETTINGS a = 1"),
        ("SELECT 1 SETTINGS a = 1 FORMAT CSV", "SELECT 1 SETTINGS a = 1 ", "CSV", ""),
        ("SELECT 1 AS format", "SELECT 1 AS format", None, ""),
        ("SELECT format FROM t", "SELECT format FROM t", None, ""),
        ("SELECT * FROM format SETTINGS a = 1", "SELECT * FROM format SETTINGS a = 1", None, ""),
        ("SELECT ' FORMAT CSV' -- FORMAT CSV", "SELECT ' FORMAT CSV'", None, ""),
        ("SELECT 1 -- FORMAT CSV\n FORMAT Native\n", "SELECT 1 -- FORMAT CSV", "Native", ""),
        ("SELECT 'it''s \\' FORMAT' FORMAT TSV", "SELECT 'it''s \\' FORMAT' ", "TSV", ""),
    ],
)
def test_select_is_cut_at_its_format(sql: str, before: str, output_format: str | None, after: str) -> None:
    clause = output_clause(sql.encode())

    assert (clause.before, clause.format, clause.after) == (before, output_format, after)


def test_first_words_see_through_comments() -> None:
    assert first_words(b"/* x */ set -- y\n role all") == ("SET", "ROLE")


def test_rows_after_the_semicolon_are_refused() -> None:
    check_end_of_values(b" (1, 'a;b\\';'), (2, 'c''; d') ; \n")

    with pytest.raises(ClickHouseError, match="Cannot read data after semicolon"):
        check_end_of_values(b" (1, 'a'); (2, 'b')")


def test_format_name_is_refused_when_it_could_be_sql() -> None:
    assert check_format_name("JSONEachRow") == "JSONEachRow"

    with pytest.raises(ClickHouseError, match="Unknown format"):
        check_format_name("CSV SETTINGS x = 1")
