"""The text and the status of errors."""

from typing import Any

import pytest

from local_stack.clickhouse_gateway.errors import ClickHouseError


@pytest.mark.parametrize(
    ("code", "status"),
    [(62, 400), (36, 400), (516, 403), (497, 403), (60, 404), (81, 404), (159, 408), (229, 413), (48, 501), (241, 500)],
)
def test_error_has_the_status_of_the_server(code: int, status: int) -> None:
    assert ClickHouseError(code, "x").status == status


def test_error_text_is_the_one_of_the_server() -> None:
    error = ClickHouseError(373, "Session x is locked by a concurrent client")

    text = error.text("26.9.2.1")

    assert text == (
        "Code: 373. DB::Exception: Session x is locked by a concurrent client (SESSION_IS_LOCKED) "
        "(version 26.9.2.1 (embedded build))"
    )


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        ("Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)", "Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)"),
        (
            "Code: 60. DB::Exception: Code: 60. DB::Exception: No. (UNKNOWN_TABLE) (version 26.9.2.1). (UNKNOWN_TABLE)",
            "Code: 60. DB::Exception: No. (UNKNOWN_TABLE)",
        ),
        (
            "Code: 27. DB::Exception: Bad: (in file/uri /proc/self/fd/43): While executing Parser: "
            "While executing File: data for INSERT was parsed from file. (X)",
            "Code: 27. DB::Exception: Bad: While executing Parser: data for INSERT. (X)",
        ),
        (
            "Code: 497. DB::Exception: default: Not enough privileges. (ACCESS_DENIED)",
            "Code: 497. DB::Exception: alice: Not enough privileges. (ACCESS_DENIED)",
        ),
        ("boom", "Code: 1001. DB::Exception: boom (STD_EXCEPTION)"),
    ],
)
def test_error_of_the_engine_reads_like_the_server(raised: str, text: str) -> None:
    assert ClickHouseError.of_engine(raised, "alice").text("1").removesuffix(" (version 1 (embedded build))") == text


def test_names_are_those_of_the_engine(server: Any) -> None:
    codes = [33, 36, 48, 62, 73, 78, 81, 89, 159, 164, 180, 202, 229, 236, 271, 358, 372, 373, 374, 497, 511, 516]

    names = server.run(f"SELECT errorCodeToName(arrayJoin({codes}))").split()

    assert [ClickHouseError(code, "x").text("1").split("(")[1].split(")")[0] for code in codes] == names
