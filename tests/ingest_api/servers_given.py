"""Servers of one test's own, to be stopped and started again on the same data."""

import secrets
from pathlib import Path

from local_stack.clickhouse_users import write_users_file
from local_stack.processes import Process, free_port, start_gateway, start_valkey
from warehouse.client import connect
from warehouse.config import WarehouseSettings
from warehouse.migrate import migrate


class Stoppable:
    """A Valkey, `valkey`, and a ClickHouse, `clickhouse`, neither of which runs yet."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.password, self.valkey_port, self.gateway_port = secrets.token_hex(8), free_port(), free_port()
        (directory / "valkey").mkdir()
        self.users = directory / "users.xml"
        write_users_file(self.users, self.password, secrets.token_hex(8))
        self.running: dict[str, Process] = {}

    def start(self, name: str) -> None:
        if name == "valkey":
            process = start_valkey(self.directory / "valkey", self.valkey_port, self.password)
        else:
            process = start_gateway(self.directory / "data", self.gateway_port, self.users)
        process.wait_healthy()
        self.running[name] = process

    def stop(self, name: str) -> None:
        self.running.pop(name).stop()

    @property
    def redis_url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.valkey_port}"

    @property
    def warehouse_settings(self) -> WarehouseSettings:
        return WarehouseSettings(
            clickhouse_host=f"127.0.0.1:{self.gateway_port}",
            clickhouse_username="default",
            clickhouse_password=self.password,
            clickhouse_database="stoppable",
        )

    def migrate(self) -> None:
        client = connect(self.warehouse_settings)
        migrate(client, self.warehouse_settings)
        client.close()
