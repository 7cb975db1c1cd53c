"""The raw tables as external assets: the flusher fills them, Dagster only watches."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_project.defs.transform.translator import BOOKKEEPING, ESTIMATES, REPLAY_REQUESTS, LayerTranslator

RAW_EVENTS = dg.AssetKey(["raw", "events"])
ARRIVAL_CHECK = dg.AssetCheckKey(RAW_EVENTS, "events_arrive_in_time")


def source_assets(manifest: Mapping[str, Any], translator: LayerTranslator) -> list[dg.AssetSpec]:
    """One spec for each source of dbt that others fill with data, with its description, owner and freshness."""
    specs = [translator.get_asset_spec(manifest, unique_id, None) for unique_id in manifest["sources"]]
    ours = (BOOKKEEPING, ESTIMATES, REPLAY_REQUESTS)
    return [spec.replace_attributes(kinds={"clickhouse"}) for spec in specs if spec.key not in ours]
