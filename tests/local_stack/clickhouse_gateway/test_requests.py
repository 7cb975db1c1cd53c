"""What is a setting, and what belongs to the protocol."""

from typing import Any

import pytest

from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.requests import HttpRequest, QueryOptions


def request(query_string: str = "", *headers: tuple[bytes, bytes]) -> HttpRequest:
    scope: dict[str, Any] = {
        "method": "POST",
        "path": "/",
        "query_string": query_string.encode(),
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
    }
    return HttpRequest.of_scope(scope)


def options(query_string: str, *headers: tuple[bytes, bytes]) -> QueryOptions:
    asked = request(query_string, *headers)
    return QueryOptions.of_request(asked, asked.params, {})


def test_parameters_are_sorted_into_settings_and_values() -> None:
    read = options(
        "query=SELECT+1&database=d&max_threads=2&param_a=1&session_id=s&wait_end_of_query=1&t_structure=a+Int8"
    )

    assert read.settings == {"max_threads": "2"}
    assert read.params == {"a": "1"}
    assert (read.database, read.session_id, read.wait_end_of_query) == ("d", "s", True)


def test_settings_named_like_formats_stay_settings() -> None:
    read = options(
        "format_custom_escaping_rule=CSV&output_format_json_quote_64bit_integers=1&x_format=CSV&x_types=Int8"
    )

    assert set(read.settings) == {"format_custom_escaping_rule", "output_format_json_quote_64bit_integers"}


def test_values_are_decoded_as_utf_8() -> None:
    assert options("param_a=%E2%9C%93+%25").params == {"a": "✓ %"}


def test_query_gets_an_id_when_it_has_none() -> None:
    assert options("query_id=mine").query_id == "mine"
    assert len(options("").query_id) == 36


@pytest.mark.parametrize(("query_string", "compressed"), [("", True), ("enable_http_compression=0", False)])
def test_compression_can_be_turned_off(query_string: str, compressed: bool) -> None:
    assert options(query_string).compressed is compressed


def test_login_falls_back_to_the_default_user() -> None:
    credentials = request().credentials

    assert (credentials.user, credentials.password) == ("default", "")


def test_password_may_have_a_colon() -> None:
    credentials = request("", (b"authorization", b"Basic YWxpY2U6YTpi")).credentials

    assert (credentials.user, credentials.password) == ("alice", "a:b")


def test_framing_of_clickhouse_is_refused() -> None:
    with pytest.raises(ClickHouseError, match="Accept-Encoding"):
        options("compress=1")
