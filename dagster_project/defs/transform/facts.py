"""What a materialization says about its table: how many rows, and until when its events are in."""

from datetime import UTC, datetime
from typing import TypeAlias, cast

import dagster as dg

from warehouse.client import Client
from warehouse.config import Layer, WarehouseSettings

EPOCH = datetime.fromtimestamp(0, UTC)

Fact: TypeAlias = int | dg.TimestampMetadataValue


def table_facts(client: Client, settings: WarehouseSettings, key: dg.AssetKey) -> dict[str, Fact]:
    """Row count of the table `[layer, table]` and the window of arrivals that its last run took in.

    Returns:
        `dagster/row_count`, and for models with a watermark `window_end` and, unless it was built anew, `window_start`;
        nothing for a view: it has no rows of its own, and counting those behind it would read them all.
    """
    layer, table = key.path
    names = {"database": settings.database(cast(Layer, layer)), "table": table}
    engine = client.query(
        "SELECT engine FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        parameters=names,
    )
    if engine.result_rows == [("View",)]:
        return {}
    count = client.query("SELECT count() FROM {database:Identifier}.{table:Identifier}", parameters=names)
    facts: dict[str, Fact] = {"dagster/row_count": count.result_rows[0][0]}
    watermarks = client.query(
        "SELECT high_watermark FROM {database:Identifier}.watermarks WHERE model = {model:String} "
        "ORDER BY committed_at DESC, high_watermark DESC LIMIT 2",
        parameters={"database": settings.database("ops"), "model": table},
    )
    for name, (moment,) in zip(("window_end", "window_start"), watermarks.result_rows, strict=False):
        # 1970 stands for "built anew from the beginning": a window without a start.
        if moment > EPOCH:
            facts[name] = dg.MetadataValue.timestamp(moment)
    return facts
