"""The HTTP interface: health, login, options of a query, and how many queries may run at once."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_health_is_answered_without_a_login(server: Any, path: str) -> None:
    answer = server.get(path)

    assert (answer.status, answer.text) == (200, "Ok.\n")


def test_unknown_path_is_not_found(server: Any) -> None:
    answer = server.get("/play")

    assert answer.status == 404
    assert "There is no handle /play" in answer.text


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/?query=SELECT+1", basic("default", "secret")),
        ("/?query=SELECT+1", {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "secret"}),
        ("/?query=SELECT+1&user=default&password=secret", {}),
        ("/?query=SELECT+1&password=secret", {}),
    ],
)
def test_login_is_accepted_in_every_way(server: Any, path: str, headers: dict[str, str]) -> None:
    answer = server.get(path, headers)

    assert (answer.status, answer.text) == (200, "1\n")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/?query=SELECT+1", {}),
        ("/?query=SELECT+1", basic("default", "wrong")),
        ("/?query=SELECT+1", basic("nobody", "secret")),
        ("/?query=SELECT+1", basic("remote", "secret")),
        ("/?query=SELECT+1", {"Authorization": "Basic !"}),
        ("/?query=SELECT+1", {"Authorization": "Bearer token"}),
        ("/?query=SELECT+1&user=default&password=secret", basic("default", "secret")),
        ("/?query=SELECT+1&user=default", {"X-ClickHouse-Key": "secret"}),
    ],
)
def test_login_is_refused_as_the_server_does(server: Any, path: str, headers: dict[str, str]) -> None:
    answer = server.get(path, headers)

    assert (answer.status, answer.code) == (403, 516)
    assert "(AUTHENTICATION_FAILED)" in answer.text


@pytest.mark.parametrize(
    ("sql", "status", "code", "text"),
    [
        ("SELEC 1", 400, 62, "Syntax error: failed at position 7 (1)"),
        ("", 400, 62, "Empty query"),
        ("SELECT 1; SELECT 2", 400, 62, "Multi-statements are not allowed"),
        ("SELECT * FROM missing", 404, 60, "(UNKNOWN_TABLE) (version "),
        ("SELECT missing", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT missing()", 404, 46, "UNKNOWN_FUNCTION"),
        ("SELECT 1 FORMAT Missing", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT {x:Int8}", 500, 456, "Substitution `x` is not set"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 500, 358, "INTO OUTFILE is not allowed"),
        ("SET ROLE ALL", 403, 497, "Not enough privileges"),
        (b"SELECT '\xff'", 400, 36, "not UTF-8"),
    ],
)
def test_error_has_code_text_and_status(server: Any, sql: Any, status: int, code: int, text: str) -> None:
    answer = server.post(sql)

    assert (answer.status, answer.code) == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert text in answer.text


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"database": "missing"}, 81),
        ({"no_such_setting": 1}, 115),
        ({"profile": "missing"}, 180),
        ({"role": "admin"}, 511),
        ({"compress": 1}, 48),
        ({"buffer_size": "many"}, 36),
        ({"default_format": "a b"}, 73),
        ({"query_id": "a\r\nset-cookie: b"}, 36),
    ],
)
def test_parameter_is_refused_with_a_code(server: Any, params: dict[str, Any], code: int) -> None:
    answer = server.post("SELECT 1", **params)

    assert answer.code == code


def test_headers_tell_about_the_query(server: Any) -> None:
    answer = server.post("SELECT id FROM marts.orders WHERE id % 400 = 0", query_id="my-query")

    assert answer.headers["x-clickhouse-query-id"] == "my-query"
    assert answer.headers["x-clickhouse-format"] == "TabSeparated"
    assert answer.headers["x-clickhouse-timezone"] == "UTC"
    assert answer.headers["content-type"] == "text/tab-separated-values; charset=UTF-8"
    assert (
        answer.summary.items() >= {"read_rows": 1000, "read_bytes": 4000, "result_rows": 3, "written_rows": 0}.items()
    )
    assert answer.summary["elapsed_ns"] > 0


def test_time_zone_is_utc_whatever_the_machine_says(server: Any) -> None:
    # The fixture starts the gateway with TZ=Asia/Tokyo.
    assert server.run("SELECT timezone(), toString(toDateTime(0))") == "UTC\t1970-01-01 00:00:00\n"


def test_format_is_chosen_by_query_then_parameter_then_header(server: Any) -> None:
    header = {"X-ClickHouse-Format": "CSV"}

    by_header = server.post("SELECT 1 AS a, 'x' AS b", headers=header)
    by_parameter = server.post("SELECT 1 AS a, 'x' AS b", headers=header, default_format="JSONEachRow")
    by_query = server.post("SELECT 1 AS a, 'x' AS b FORMAT XML", headers=header, default_format="JSONEachRow")

    assert by_header.text == '1,"x"\n'
    assert json.loads(by_parameter.text) == {"a": 1, "b": "x"}
    assert by_query.text.startswith("<?xml")
    assert [answer.headers["x-clickhouse-format"] for answer in (by_header, by_parameter, by_query)] == [
        "CSV",
        "JSONEachRow",
        "XML",
    ]


def test_query_in_the_url_goes_before_the_body(server: Any, table: str) -> None:
    assert server.post("1 + 1", query="SELECT").text == "2\n"

    server.post("1,one\n2,two\n", query=f"INSERT INTO {table} FORMAT CSV")

    assert server.run(f"SELECT b FROM {table} ORDER BY a") == "one\ntwo\n"


def test_parameters_are_bound_by_the_engine(server: Any) -> None:
    answer = server.post(
        "SELECT {s:String}, {a:Array(String)}, {n:Nullable(Int8)}, {d:Date} + 1, {t:Identifier} FROM numbers(1)",
        param_s="it's \\t \\'; DROP TABLE x",
        param_a="['a\\'b', '✓']",
        param_n="\\N",
        param_d="2024-02-28",
        param_t="number",
        default_format="JSONCompactEachRow",
    )

    assert json.loads(answer.text) == ["it's \t '; DROP TABLE x", ["a'b", "✓"], None, "2024-02-29", 0]


def test_settings_hold_for_their_request_only(server: Any) -> None:
    assert server.run("SELECT getSetting('max_threads')", max_threads=1) == "1\n"
    assert server.run("SELECT getSetting('max_threads') > 1 OR 1") == "1\n"
    assert server.run("SELECT getSetting('max_block_size')", max_block_size=77) == "77\n"
    assert server.run("SELECT getSetting('max_block_size') = 77") == "0\n"


def test_profile_is_chosen_by_parameter(server: Any) -> None:
    sql = "SELECT getSetting('max_threads'), getSetting('os_threads_nice_value_query')"

    assert server.run(sql, profile="adhoc") == "1\t19\n"


def test_get_may_read_but_not_write(server: Any, table: str) -> None:
    login = basic("default", "secret")

    read = server.get(f"/?query=SELECT+count()+FROM+{table}", login)
    written = server.get(f"/?query=INSERT+INTO+{table}+VALUES+(1,'a')", login)
    killed = server.get("/?query=KILL+QUERY+WHERE+0", login)

    assert read.text == "0\n"
    assert (written.status, written.code, killed.code) == (500, 164, 164)
    assert "GET implies readonly" in written.text


def test_readonly_parameter_closes_the_request(server: Any, table: str) -> None:
    assert server.post(f"INSERT INTO {table} VALUES (1, 'a')", readonly=2).code == 164
    assert server.post(f"INSERT INTO {table} VALUES (1, 'a')", readonly=0).status == 200


def test_head_has_no_body(server: Any) -> None:
    answer = server.request("HEAD", "/?query=SELECT+1", None, basic("default", "secret"))

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-clickhouse-summary"]


def test_external_table_comes_with_a_form(server: Any) -> None:
    parts = {"query": "SELECT sum(a) FROM ids JOIN marts.orders ON id = a", "param_x": "1"}
    body = "".join(f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in parts.items())
    body += '--B\r\nContent-Disposition: form-data; name="ids"; filename="ids"\r\n\r\n1\n2\n5000\n\r\n--B--\r\n'

    answer = server.post(body, headers={"Content-Type": "multipart/form-data; boundary=B"}, ids_structure="a UInt32")

    assert answer.text == "3\n"


def test_queries_run_in_parallel(server: Any) -> None:
    started = time.monotonic()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(server.run, ["SELECT sleep(1)"] * 8))

    assert answers == ["0\n"] * 8
    assert time.monotonic() - started < 5


def test_user_runs_no_more_queries_than_the_profile_says(server: Any) -> None:
    running = threading.Thread(target=server.post, args=("SELECT sleep(2)", "single"))
    running.start()
    time.sleep(0.5)

    refused, other_user = server.post("SELECT 1", "single"), server.post("SELECT 1")
    running.join()

    assert (refused.status, refused.code) == (500, 202)
    assert "Too many simultaneous queries for user single" in refused.text
    assert (other_user.status, server.post("SELECT 1", "single").status) == (200, 200)


def test_memory_and_time_of_a_query_are_bounded(server: Any) -> None:
    memory = server.post("SELECT groupArray(number) FROM numbers(1e8) FORMAT Null", max_memory_usage=50_000_000)
    time_out = server.post("SELECT count() FROM numbers(1e12) WHERE sipHash64(number) = 1", max_execution_time=0.5)

    assert (memory.status, memory.code) == (500, 241)
    assert (time_out.status, time_out.code) == (408, 159)


def test_query_is_killed_by_its_query_id(server: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            server.post, "SELECT count() FROM numbers(1e12) WHERE sipHash64(number) = 1", query_id="endless"
        )
        while not server.run("KILL QUERY WHERE Settings['log_comment'] = 'endless' ASYNC"):
            time.sleep(0.05)
        answer = running.result()

    assert answer.code == 394
