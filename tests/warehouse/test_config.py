"""Settings of the warehouse: defaults, the split of host and port, and what is refused."""

import pytest
from pydantic import ValidationError

from warehouse.config import WarehouseSettings


def test_settings_have_the_documented_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "USERNAME", "PASSWORD", "DATABASE", "CLUSTER"):
        monkeypatch.delenv(f"CLICKHOUSE_{name}", raising=False)

    settings = WarehouseSettings()

    assert (settings.hostname, settings.port) == ("localhost", 8123)
    assert settings.database("raw") == "analytics_raw"
    assert settings.clickhouse_username == "default"
    assert settings.clickhouse_password.get_secret_value() == ""


@pytest.mark.parametrize("host", ["", "a:b", "http://a:8123", "a:1:2"])
def test_settings_refuse_a_host_that_is_not_host_and_port(host: str) -> None:
    with pytest.raises(ValidationError, match="clickhouse_host"):
        WarehouseSettings(clickhouse_host=host)


@pytest.mark.parametrize("database", ["", "1a", "a-b", "a;drop", "ä", "x" * 64])
def test_settings_refuse_a_database_that_needs_quoting(database: str) -> None:
    with pytest.raises(ValidationError, match="clickhouse_database"):
        WarehouseSettings(clickhouse_database=database)
