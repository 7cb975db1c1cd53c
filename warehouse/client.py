"""The one door to ClickHouse: clients that answer in aware UTC times, and its errors in two domain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient as _AsyncClient
from clickhouse_connect.driver.client import Client as _Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, InterfaceError
from clickhouse_connect.driver.summary import QuerySummary as _QuerySummary

from warehouse.config import WarehouseSettings

Client: TypeAlias = _Client
AsyncClient: TypeAlias = _AsyncClient
QuerySummary: TypeAlias = _QuerySummary

# The server is there but cannot take the statement now: 159 timeout, 202 too many queries, 209/210 socket and network,
# 241 memory limit, 242 read-only replica, 252 too many parts, 285/319 quorum and unknown insert state, 999 Keeper.
_PASSING_CODES = frozenset({159, 202, 209, 210, 241, 242, 252, 285, 319, 425, 999})


class WarehouseUnavailable(Exception):
    """ClickHouse cannot be reached or cannot answer now; whether the statement ran is unknown. Try again later."""


def is_passing(code: int) -> bool:
    """Whether ClickHouse may take a statement later that it answers with this error code now."""
    return code in _PASSING_CODES


class StatementRefused(Exception):
    """ClickHouse refused the statement or its data; trying the same again gives the same answer."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
        """ClickHouse's own error code, for example 60 for an unknown table."""


@contextmanager
def warehouse_errors() -> Iterator[None]:
    """Turn the driver's errors into `WarehouseUnavailable` or `StatementRefused`."""
    try:
        yield
    except InterfaceError as error:
        raise WarehouseUnavailable(str(error)) from error
    except Error as error:
        if error.code is None or is_passing(error.code):
            raise WarehouseUnavailable(str(error)) from error
        raise StatementRefused(str(error), error.code) from error
    except (ClickHouseError, OSError) as error:
        raise WarehouseUnavailable(str(error)) from error


def connect(settings: WarehouseSettings, *, timeout_seconds: int = 300) -> Client:
    """Open a client for threads and scripts; it holds no session, so its statements may run in parallel.

    Raises:
        WarehouseUnavailable: nothing answers at `CLICKHOUSE_HOST`.
        StatementRefused: user or password is wrong.
    """
    with warehouse_errors():
        return clickhouse_connect.get_client(
            host=settings.hostname,
            port=settings.port,
            username=settings.clickhouse_username,
            password=settings.clickhouse_password.get_secret_value(),
            send_receive_timeout=timeout_seconds,
            connect_timeout=5,
            autogenerate_session_id=False,
            tz_mode="aware",
        )


async def connect_async(settings: WarehouseSettings, *, timeout_seconds: int = 60) -> AsyncClient:
    """Open a client for an event loop; the same promises and errors as `connect`."""
    with warehouse_errors():
        return await clickhouse_connect.get_async_client(
            host=settings.hostname,
            port=settings.port,
            username=settings.clickhouse_username,
            password=settings.clickhouse_password.get_secret_value(),
            send_receive_timeout=timeout_seconds,
            connect_timeout=5,
            autogenerate_session_id=False,
            tz_mode="aware",
        )
