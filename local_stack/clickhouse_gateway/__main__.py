"""Start the gateway: `python -m local_stack.clickhouse_gateway --data-dir DIR --port N --users FILE`."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# The engine takes its time zone from TZ when it is loaded, and timestamps without a zone are UTC by contract.
os.environ["TZ"] = "UTC"
time.tzset()

import uvicorn  # noqa: E402

from local_stack.clickhouse_gateway.application import Gateway, Limits  # noqa: E402
from local_stack.clickhouse_gateway.engine import DataDirectoryBusy  # noqa: E402
from local_stack.clickhouse_gateway.users import Users, UsersFileInvalid  # noqa: E402

_MEBIBYTE = 1_048_576


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="clickhouse_gateway", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="directory of the engine; made if it is missing")
    parser.add_argument("--users", type=Path, required=True, help="users file, see the docstring of the package")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--max-memory-mb", type=int, default=0, help="of the whole engine; 0 = 90 %% of the machine")
    parser.add_argument("--max-body-mb", type=int, default=2048, help="of a request after decompression")
    parser.add_argument("--max-query-mb", type=int, default=16, help="of a query text without its rows")
    parser.add_argument("--max-concurrent-queries", type=int, default=100)
    parser.add_argument("--max-sessions", type=int, default=1000)
    parser.add_argument("--stop-seconds", type=float, default=10, help="how long a shutdown waits for running queries")
    return parser.parse_args(argv)


class _Server(uvicorn.Server):
    """uvicorn raises the signal it was stopped by once more, and the process would not exit with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    options = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    limits = Limits(
        max_memory_bytes=options.max_memory_mb * _MEBIBYTE,
        max_body_bytes=options.max_body_mb * _MEBIBYTE,
        max_query_bytes=options.max_query_mb * _MEBIBYTE,
        max_concurrent_queries=options.max_concurrent_queries,
        max_sessions=options.max_sessions,
        stop_seconds=options.stop_seconds,
    )
    try:
        gateway = Gateway(options.data_dir.resolve(), Users.read(options.users), limits)
        gateway.open()
    except (DataDirectoryBusy, UsersFileInvalid, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    # An answer without its end is how a client learns of an error after the first rows; uvicorn takes it for a fault.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "without completing response" not in record.msg)
    server = _Server(
        uvicorn.Config(
            gateway,
            host=options.host,
            port=options.port,
            lifespan="on",
            access_log=False,
            log_config=None,
            # Clients keep connections for reuse; a server that closes them first turns the next insert into a guess.
            timeout_keep_alive=3600,
            timeout_graceful_shutdown=max(1, int(options.stop_seconds)),
            server_header=False,
        )
    )
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
