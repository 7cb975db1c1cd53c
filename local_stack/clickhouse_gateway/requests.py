"""A request as ClickHouse's HTTP interface reads it: what is a parameter of the protocol, and what is a setting."""

import base64
import binascii
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from local_stack.clickhouse_gateway.errors import ClickHouseError

_DEFAULT_BUFFER_BYTES = 1_048_576

# Parameters of the protocol, and settings that only say how to talk over HTTP.
_NOT_SETTINGS = frozenset(
    {
        "add_http_cors_header",
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "close_session",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_response_buffer_size",
        "http_wait_end_of_query",
        "http_write_exception_in_output_format",
        "http_zlib_compression_level",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password as they came."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The head of a request."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    client_address: str | None

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> "HttpRequest":
        """Read an ASGI scope."""
        return cls(
            method=scope["method"],
            path=scope["path"],
            params=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
            client_address=scope["client"][0] if scope.get("client") else None,
        )

    @property
    def credentials(self) -> Credentials:
        """Basic, X-ClickHouse-User/Key or user/password; nothing given is `default` without a password.

        Raises ClickHouseError 516 when they are given in two ways or cannot be read.
        """
        header_user, header_key = self.headers.get("x-clickhouse-user"), self.headers.get("x-clickhouse-key")
        in_headers = header_user is not None or header_key is not None
        in_params = "user" in self.params or "password" in self.params
        authorization = self.headers.get("authorization")
        if (authorization is not None) + in_headers + in_params > 1:
            raise ClickHouseError(
                516, "Invalid authentication: it is not allowed to use several ways of authentication simultaneously"
            )
        if authorization is not None:
            scheme, _, value = authorization.partition(" ")
            if scheme.lower() != "basic":
                raise ClickHouseError(
                    516, f"Invalid authentication: '{scheme}' HTTP Authorization scheme is not supported"
                )
            try:
                user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise ClickHouseError(516, "Invalid authentication: the Basic credentials cannot be read") from error
            return Credentials(user or "default", password)
        if in_headers:
            return Credentials(header_user or "default", header_key or "")
        return Credentials(self.params.get("user") or "default", self.params.get("password", ""))


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """Everything a request says about its query except the query itself."""

    query_id: str
    database: str | None
    default_format: str
    settings: Mapping[str, str]
    params: Mapping[str, str]
    session_id: str | None
    session_timeout: str | None
    session_check: bool
    close_session: bool
    wait_end_of_query: bool
    buffer_bytes: int
    compressed: bool

    @classmethod
    def of_request(
        cls, request: HttpRequest, params: Mapping[str, str], user_settings: Mapping[str, str]
    ) -> "QueryOptions":
        """Read the options from the parameters (of the URL and of a form) and the headers.

        Raises ClickHouseError for parts of the protocol that the gateway does not speak.
        """
        if _flag(params, "compress") or _flag(params, "decompress"):
            raise ClickHouseError(
                48, "compress=1 and decompress=1 (ClickHouse's own framing); use Accept-Encoding and Content-Encoding"
            )
        if "role" in params:
            raise ClickHouseError(511, f"There is no role `{params['role']}` in `user directories`.")
        query_id = params.get("query_id", "")
        if not query_id.isascii() or not query_id.isprintable():
            raise ClickHouseError(36, "query_id has characters that cannot go into a header.")
        buffer_size = params.get("buffer_size") or params.get("http_response_buffer_size") or _DEFAULT_BUFFER_BYTES
        try:
            buffer_bytes = int(buffer_size)
        except ValueError as error:
            raise ClickHouseError(36, f"buffer_size is not a number: {buffer_size}.") from error
        asked = "enable_http_compression" not in params and "enable_http_compression" not in user_settings
        return cls(
            query_id=query_id or str(uuid.uuid4()),
            database=params.get("database") or request.headers.get("x-clickhouse-database"),
            default_format=params.get("default_format") or request.headers.get("x-clickhouse-format") or "TabSeparated",
            settings={
                name: value
                for name, value in params.items()
                if name not in _NOT_SETTINGS and not name.startswith("param_") and not _describes_table(name, params)
            },
            params={name[6:]: value for name, value in params.items() if name.startswith("param_")},
            session_id=params.get("session_id") or None,
            session_timeout=params.get("session_timeout"),
            session_check=params.get("session_check") == "1",
            close_session=_flag(params, "close_session"),
            wait_end_of_query=_flag(params, "wait_end_of_query") or _flag(params, "http_wait_end_of_query"),
            buffer_bytes=buffer_bytes,
            # Accept-Encoding alone is enough, as with the server's default of enable_http_compression.
            compressed=asked or _flag({**user_settings, **params}, "enable_http_compression"),
        )


def _flag(params: Mapping[str, str], name: str) -> bool:
    return params.get(name, "0").lower() in ("1", "true")


def _describes_table(name: str, params: Mapping[str, str]) -> bool:
    """Whether a parameter belongs to an external table: x_structure or x_types, and x_format beside one of them."""
    table, _, what = name.rpartition("_")
    return what in ("structure", "types") or (
        what == "format" and (f"{table}_structure" in params or f"{table}_types" in params)
    )
