"""A gateway of our own: its users show every part of the users file, and tests may stop and kill it."""

import base64
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import pytest

USERS = """\
<clickhouse>
    <profiles>
        <default>
            <max_memory_usage>4000000000</max_memory_usage>
            <max_execution_time>120</max_execution_time>
        </default>
        <adhoc>
            <max_threads>1</max_threads>
            <os_threads_nice_value_query>19</os_threads_nice_value_query>
        </adhoc>
        <reader>
            <readonly>2</readonly>
            <max_memory_usage>200000000</max_memory_usage>
            <max_execution_time>20</max_execution_time>
            <constraints>
                <max_memory_usage><min>1</min><max>200000000</max></max_memory_usage>
                <max_execution_time><min>1</min><max>20</max></max_execution_time>
            </constraints>
        </reader>
        <frozen>
            <readonly>1</readonly>
        </frozen>
        <narrow>
            <max_concurrent_queries_for_user>1</max_concurrent_queries_for_user>
        </narrow>
    </profiles>
    <users>
        <default>
            <password>secret</password>
            <profile>default</profile>
        </default>
        <bi_reader>
            <password_sha256_hex>2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b</password_sha256_hex>
            <profile>reader</profile>
            <grants><query>GRANT SELECT ON marts.*</query></grants>
            <default_database>marts</default_database>
        </bi_reader>
        <auditor>
            <password>secret</password>
            <profile>frozen</profile>
        </auditor>
        <writer>
            <password>secret</password>
            <grants><query>GRANT SELECT, INSERT ON marts.*</query></grants>
        </writer>
        <single>
            <password>secret</password>
            <profile>narrow</profile>
        </single>
        <remote>
            <password>secret</password>
            <networks><ip>10.0.0.0/8</ip></networks>
        </remote>
    </users>
    <quotas><default/></quotas>
</clickhouse>
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def summary(self) -> dict[str, int]:
        return {name: int(value) for name, value in json.loads(self.headers["x-clickhouse-summary"]).items()}

    @property
    def code(self) -> int:
        return int(self.headers["x-clickhouse-exception-code"])


@dataclass
class Server:
    directory: Path
    options: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[str] = field(init=False)

    @property
    def arguments(self) -> list[str]:
        places = ["--data-dir", str(self.directory / "data"), "--users", str(self.directory / "users.xml")]
        return [
            sys.executable,
            "-m",
            "local_stack.clickhouse_gateway",
            *places,
            "--port",
            str(self.port),
            *self.options,
        ]

    def start(self) -> "Server":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {**os.environ, "TZ": "Asia/Tokyo"}
        with (self.directory / "log").open("a") as log:
            self.process = subprocess.Popen(self.arguments, env=environment, stdout=log, stderr=log, text=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.get("/ping").body == b"Ok.\n":
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError((self.directory / "log").read_text())

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    @property
    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = self.connection()
        try:
            pieces = isinstance(body, Iterator)
            chunked = {"Transfer-Encoding": "chunked"} if pieces else {}
            connection.request(method, path, body, {**(headers or {}), **chunked}, encode_chunked=pieces)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", path, None, headers)

    def post(
        self, body: Any, user: str = "default", headers: Mapping[str, str] | None = None, **params: object
    ) -> Answer:
        login = {"Authorization": "Basic " + base64.b64encode(f"{user}:secret".encode()).decode()}
        return self.request("POST", "/?" + urlencode(params), body, {**login, **(headers or {})})

    def run(self, sql: str, **params: object) -> str:
        answer = self.post(sql, **params)
        assert answer.status == 200, answer.text
        return answer.text

    def client(self, **options: Any) -> Any:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, **{"username": "default", "password": "secret", **options}
        )


StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    servers: list[Server] = []

    def start(*options: str) -> Server:
        directory = tmp_path_factory.mktemp("gateway")
        (directory / "users.xml").write_text(USERS)
        servers.append(Server(directory, options))
        return servers[-1].start()

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(start_server: StartServer) -> Server:
    server = start_server()
    server.run("CREATE DATABASE marts")
    server.run("CREATE TABLE marts.orders (id UInt32) ENGINE = MergeTree ORDER BY id")
    server.run("INSERT INTO marts.orders SELECT number FROM numbers(1000)")
    server.run("CREATE DATABASE private")
    server.run("CREATE TABLE private.people (name String) ENGINE = MergeTree ORDER BY name")
    return server


@pytest.fixture
def table(server: Server) -> Iterator[str]:
    """A table (a Int32, b String) that nobody else uses."""
    name = f"t_{secrets.token_hex(4)}"
    server.run(f"CREATE TABLE {name} (a Int32, b String) ENGINE = MergeTree ORDER BY a")
    yield name
    server.run(f"DROP TABLE {name}")


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    client = server.client()
    yield client
    client.close()
