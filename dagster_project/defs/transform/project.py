"""The dbt project and its manifest."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from dagster_dbt import DbtProject

from dagster_project.config import DBT_DIRECTORY, OrchestrationSettings


class ManifestMissing(Exception):
    """dbt's manifest has not been made yet, so Dagster cannot know the models."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is missing: run `python -m dagster_project.prepare` before Dagster starts.")


@cache
def dbt_project() -> DbtProject:
    """The one project object: what prepares the manifest must be what runs it, or every run parses from scratch."""
    return DbtProject(project_dir=DBT_DIRECTORY, target_path=OrchestrationSettings().dbt_target_path)


@cache
def manifest() -> Mapping[str, Any]:
    """The prepared manifest, read once.

    Raises:
        ManifestMissing: `python -m dagster_project.prepare` has not run.
    """
    path = dbt_project().manifest_path
    if not path.is_file():
        raise ManifestMissing(path)
    content: Mapping[str, Any] = orjson.loads(path.read_bytes())
    return content
