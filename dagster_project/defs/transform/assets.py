"""Every dbt model as an asset, every dbt test as a check on it."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from dagster_project.defs.resources import DbtCommand, WarehouseResource
from dagster_project.defs.transform.facts import table_facts
from dagster_project.defs.transform.project import dbt_project, manifest
from dagster_project.defs.transform.translator import translator

WAREHOUSE_POOL = "dbt"
"""Pool of size 1 for everything that writes tables: two writers can bring back sessions that the other merged."""

NIGHTLY_TAG = "nightly"
NIGHTLY_TESTS = f"tag:{NIGHTLY_TAG},resource_type:test"
"""Not part of the models' definition: leaving single checks out of a run makes dagster-dbt name every test to dbt,
and from 200 names on it runs a copy of the project that it never deletes."""


class ModelRun(dg.Config):
    """Choices at launch."""

    full_refresh: bool = False
    """Build the models anew from all raw events instead of the new ones only."""


@dbt_assets(
    manifest=manifest(),
    project=dbt_project(),
    name="models",
    exclude=NIGHTLY_TESTS,
    pool=WAREHOUSE_POOL,
    dagster_dbt_translator=translator,
)
def models(
    context: dg.AssetExecutionContext, config: ModelRun, dbt: DbtCommand, warehouse: WarehouseResource
) -> Iterator[Any]:
    """Build and test the selected models in one `dbt build`; a failed test keeps what stands behind it unbuilt."""
    # Unit tests are about code, not about data: they run in the test suite.
    arguments = ["build", "--exclude", NIGHTLY_TESTS, "--exclude-resource-type", "unit_test"]
    if config.full_refresh:
        arguments.append("--full-refresh")
    settings = warehouse.settings
    with warehouse.client() as client:
        for event in dbt.cli(arguments, context=context).stream():
            if not isinstance(event, dg.Output):
                yield event
                continue
            key = context.asset_key_for_output(event.output_name)
            yield event.with_metadata({**event.metadata, **table_facts(client, settings, key)})
