"""dbt inside the test process: one parsed project for each environment, about a second for a run of all models."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner

from tests.conftest import Gateway, fresh_settings
from warehouse.config import WarehouseSettings

PROJECT = Path(__file__).parents[2] / "dbt"


@dataclass
class Dbt:
    """The dbt command for one environment of the warehouse; `variables` are given to dbt as --vars."""

    settings: WarehouseSettings
    directory: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    project: Path = PROJECT
    _parsed: dbtRunner | None = None

    def __call__(self, *arguments: str) -> None:
        """Run dbt. Raises AssertionError with dbt's own messages unless everything succeeds."""
        if self._parsed is None:
            self._parsed = dbtRunner(manifest=self._invoke(dbtRunner(), ["parse"]))
        self._invoke(self._parsed, arguments)

    def _invoke(self, runner: dbtRunner, arguments: Sequence[str]) -> Any:
        places = ["--project-dir", str(self.project), "--profiles-dir", str(self.project)]
        common = [*places, "--log-level-file", "none", "--quiet"]
        if self.variables:
            common += ["--vars", json.dumps(self.variables)]
        # Other people's deprecations are not our failures.
        with pytest.MonkeyPatch.context() as environment, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, value in self._environment().items():
                environment.setenv(name, value)
            outcome = runner.invoke([*arguments, *common])
        messages = [
            f"{result.node.name}: {result.message}"
            for result in getattr(outcome.result, "results", [])
            if result.status not in ("success", "pass", "no-op", "warn")
        ]
        assert outcome.success, "\n".join(messages) or repr(outcome.exception)
        return outcome.result

    def _environment(self) -> dict[str, str]:
        return {
            "CLICKHOUSE_HOST": self.settings.clickhouse_host,
            "CLICKHOUSE_USERNAME": self.settings.clickhouse_username,
            "CLICKHOUSE_PASSWORD": self.settings.clickhouse_password.get_secret_value(),
            "CLICKHOUSE_DATABASE": self.settings.clickhouse_database,
            "CLICKHOUSE_CLUSTER": "",
            "ANALYTICS_SAFETY_LAG_SECONDS": "0",
            "DBT_TARGET_PATH": str(self.directory / "target"),
        }

    def compiled(self) -> Path:
        """The directory of the compiled SQL."""
        return self.directory / "target" / "compiled" / "analytics"

    def manifest(self) -> dict[str, Any]:
        """The parsed project."""
        if self._parsed is None:
            self._parsed = dbtRunner(manifest=self._invoke(dbtRunner(), ["parse"]))
        content: dict[str, Any] = json.loads((self.directory / "target" / "manifest.json").read_text())
        return content


@pytest.fixture(scope="session")
def dbt(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """An environment that is built once, without events; tests only read it."""
    built = Dbt(fresh_settings(gateway), tmp_path_factory.mktemp("dbt"))
    built("build", "--exclude-resource-type", "unit_test")
    return built
