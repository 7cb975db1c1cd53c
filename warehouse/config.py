"""Where the warehouse is and how to log in, read from the environment."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

Layer = Literal["raw", "stats", "ops", "staging", "intermediate", "marts"]


class WarehouseSettings(BaseSettings):
    """The `CLICKHOUSE_*` variables. One `CLICKHOUSE_DATABASE` is one environment: its databases share nothing."""

    clickhouse_host: str = Field(default="localhost:8123", pattern=r"^[^:/\s]+(:\d+)?$")
    """`host:port` of ClickHouse's HTTP interface."""
    clickhouse_username: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_database: str = Field(default="analytics", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    clickhouse_cluster: str = Field(default="", pattern=r"^[A-Za-z0-9_\-]*$")
    """Name of the cluster to create tables on; empty for a single server."""

    @property
    def hostname(self) -> str:
        """The host without its port."""
        return self.clickhouse_host.partition(":")[0]

    @property
    def port(self) -> int:
        """The HTTP port, 8123 when `CLICKHOUSE_HOST` names none."""
        return int(self.clickhouse_host.partition(":")[2] or 8123)

    def database(self, layer: Layer) -> str:
        """Name of the database that holds one layer, for example `analytics_raw`."""
        return f"{self.clickhouse_database}_{layer}"
