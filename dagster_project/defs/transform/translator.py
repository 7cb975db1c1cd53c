"""How a dbt model or source looks in Dagster: group, owner, lane and freshness."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from dagster_project.defs.transform.lanes import Lane, lane_of

LANE_TAG = "lane"

_EACH_HOUR = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=90), fail_window=timedelta(hours=3))
MARTS_FRESHNESS = {
    # Without new events a hot table waits for the hourly job.
    Lane.HOT: _EACH_HOUR,
    Lane.HOURLY: _EACH_HOUR,
    Lane.NIGHTLY: dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=50)),
}
"""A job may fail once before a mart counts as late."""

OWNING_GROUP = "core"
"""dbt group whose owner answers for what names no group: sources and seeds."""

REPLAY_REQUESTS = dg.AssetKey(["ops", "replay_requests"])

BOOKKEEPING = dg.AssetKey(["ops", "watermarks"])
"""Every model reads and writes it; as an asset it would only draw a line to each of them."""

ESTIMATES = dg.AssetKey(["stats", "experiment_estimates"])
"""A view over it is built together with the tables that it is computed from: a line from it to the view would close a
circle through the one dbt command. The view sees new rows at once, so nothing waits for the line."""


class LayerTranslator(DagsterDbtTranslator):
    """Keys are `[layer, table]` by dbt's `+schema`; the group is the layer, whatever dbt group owns the model."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The spec that dagster-dbt derives, plus what it does not translate."""
        spec: dg.AssetSpec = super().get_asset_spec(manifest, unique_id, project)
        properties = self.get_resource_props(manifest, unique_id)
        layer, lane = spec.key.path[0], lane_of(properties["tags"])
        policy = MARTS_FRESHNESS[lane] if layer == "marts" else source_freshness(properties.get("freshness"))
        spec = spec.replace_attributes(
            deps=[dep for dep in spec.deps if dep.asset_key not in (BOOKKEEPING, ESTIMATES)],
            group_name=layer,
            owners=spec.owners or default_owners(manifest),
            freshness_policy=policy,
        )
        return spec if properties["resource_type"] == "source" else spec.merge_attributes(tags={LANE_TAG: lane.value})

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """The check that dagster-dbt derives from a dbt test, with words for what it claims."""
        spec: dg.AssetCheckSpec | None = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=claim(self.get_resource_props(manifest, unique_id)))


def claim(test: Mapping[str, Any]) -> str:
    """What a dbt test claims: its description, or the generic test's name and column."""
    if test.get("description"):
        return str(test["description"])
    generic = test.get("test_metadata")
    if not generic:
        return f"dbt test {test['name']}"
    column = test.get("column_name")
    return f"dbt test {generic['name']} on {column or 'the table'}"


def default_owners(manifest: Mapping[str, Any]) -> list[str]:
    """E-mail addresses of the dbt group `core`."""
    return [
        group["owner"]["email"]
        for group in manifest.get("groups", {}).values()
        if group["name"] == OWNING_GROUP and group["owner"].get("email")
    ]


def source_freshness(freshness: Mapping[str, Any] | None) -> dg.FreshnessPolicy | None:
    """dbt's `freshness:` of a source as a policy; none without `error_after`: a policy needs a moment of failure."""
    error_after = _window((freshness or {}).get("error_after"))
    if error_after is None:
        return None
    return dg.FreshnessPolicy.time_window(
        fail_window=error_after,
        warn_window=_window((freshness or {}).get("warn_after")),
    )


def _window(limit: Mapping[str, Any] | None) -> timedelta | None:
    if not limit or not limit.get("count"):
        return None
    return timedelta(**{f"{limit['period']}s": limit["count"]})


translator = LayerTranslator()
"""The one translator: dagster-dbt compares what it derives for the same model in several places."""
