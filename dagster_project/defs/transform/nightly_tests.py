"""The dbt tests that read whole tables, as checks of their own that only the nightly job runs."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.defs.resources import DbtCommand
from dagster_project.defs.transform.assets import WAREHOUSE_POOL
from dagster_project.defs.transform.lanes import nightly_tests as named_tests
from dagster_project.defs.transform.project import dbt_project, manifest
from dagster_project.defs.transform.translator import translator


def nightly_test_specs() -> dict[str, dg.AssetCheckSpec]:
    """The check of each dbt test tagged `nightly`, by the name under which dbt selects the test."""
    specs = {}
    for name, unique_id in named_tests(manifest()).items():
        for parent_id in manifest()["parent_map"][unique_id]:
            asset = translator.get_asset_spec(manifest(), parent_id, dbt_project())
            spec = translator.get_asset_check_spec(asset, manifest(), unique_id, dbt_project())
            if spec:
                specs[name] = spec
    return specs


def nightly_checks() -> list[dg.AssetChecksDefinition]:
    """One definition that runs the selected nightly tests in one dbt command; none when dbt has no such test."""
    specs = nightly_test_specs()
    if not specs:
        return []

    @dg.multi_asset_check(name="nightly_tests", specs=list(specs.values()), can_subset=True, pool=WAREHOUSE_POOL)
    def nightly_tests(context: dg.AssetCheckExecutionContext, dbt: DbtCommand) -> Iterator[dg.AssetCheckResult]:
        chosen = [name for name, spec in specs.items() if spec.key in context.selected_asset_check_keys]
        command = dbt.cli(
            ["test", "--select", " ".join(chosen)], manifest=manifest(), dagster_dbt_translator=translator
        )
        for event in command.stream():
            if isinstance(event, dg.AssetCheckEvaluation):
                yield dg.AssetCheckResult(
                    passed=event.passed,
                    asset_key=event.asset_key,
                    check_name=event.check_name,
                    metadata=event.metadata,
                    severity=event.severity,
                )

    return [nightly_tests]
