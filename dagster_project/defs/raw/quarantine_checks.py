"""Checks on rejected events: that few are rejected, and that someone looks after those that are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.defs.raw.assets import RAW_EVENTS
from dagster_project.defs.resources import WarehouseResource
from warehouse.client import Client
from warehouse.config import WarehouseSettings
from warehouse.raw_events import FRESHNESS_PROBE

REJECTED_EVENTS = dg.AssetKey(["raw", "rejected_events"])
SHARE_CHECK = dg.AssetCheckKey(RAW_EVENTS, "rejected_share_is_low")
WAITING_CHECK = dg.AssetCheckKey(REJECTED_EVENTS, "no_rejected_event_waits")

SHARE_SPAN = timedelta(days=1)
WAITING_SPAN = timedelta(days=30)
"""What nobody has replayed until then is history."""
WARN_SHARE = 0.01
FAIL_SHARE = 0.10
FEWEST_EVENTS = 100
"""Of fewer events a share says nothing."""
_REASONS = 100

# Rows are inserted after they were received, but for a difference of clocks.
_ACCEPTED = """
SELECT count() FROM {raw:Identifier}.events
WHERE inserted_at >= {since:DateTime64(3, 'UTC')} - INTERVAL 1 HOUR AND received_at >= {since:DateTime64(3, 'UTC')}
    AND event_name != {probe:String}
"""
_WAITING = """
SELECT code, source, uniqExact(rejection_id) AS rejections, min(received_at), max(received_at)
FROM {raw:Identifier}.rejected_events
WHERE inserted_at >= {since:DateTime64(3, 'UTC')} - INTERVAL 1 HOUR AND received_at >= {since:DateTime64(3, 'UTC')}
    AND rejection_id GLOBAL NOT IN
        (SELECT rejection_id FROM {raw:Identifier}.quarantine_replays WHERE outcome = 'accepted')
GROUP BY code, source
ORDER BY rejections DESC, code, source
"""


@dataclass(frozen=True, slots=True)
class Reason:
    """Events of one source that were rejected for one reason and not replayed with success."""

    code: str
    source: str
    count: int
    first_received_at: datetime
    last_received_at: datetime


def count_accepted(client: Client, settings: WarehouseSettings, since: datetime) -> int:
    """How many events were received since then and accepted, those of the freshness probe aside."""
    parameters = {"raw": settings.database("raw"), "since": since, "probe": FRESHNESS_PROBE}
    return int(client.query(_ACCEPTED, parameters=parameters).result_rows[0][0])


def read_waiting(client: Client, settings: WarehouseSettings, since: datetime) -> list[Reason]:
    """Which events were received since then and are still rejected, the most frequent reason first."""
    answer = client.query(_WAITING, parameters={"raw": settings.database("raw"), "since": since})
    return [Reason(*row) for row in answer.result_rows]


def judge_share(accepted: int, reasons: Sequence[Reason]) -> dg.AssetCheckResult:
    """Pass up to 1 % and below 100 events, warn up to 10 %, fail above."""
    rejected = sum(reason.count for reason in reasons)
    total = accepted + rejected
    share = rejected / total if total else 0.0
    is_judged = total >= FEWEST_EVENTS
    words = "" if is_judged else f" That is fewer than {FEWEST_EVENTS}, so the share is not judged."
    return dg.AssetCheckResult(
        asset_key=SHARE_CHECK.asset_key,
        check_name=SHARE_CHECK.name,
        passed=not is_judged or share <= WARN_SHARE,
        severity=dg.AssetCheckSeverity.ERROR if share > FAIL_SHARE else dg.AssetCheckSeverity.WARN,
        description=f"{rejected:,} of {total:,} events of the last 24 hours are rejected.{words}",
        metadata={"rejected_share": share, "accepted": accepted, "rejected": rejected, "reasons": _table(reasons)},
    )


def judge_waiting(reasons: Sequence[Reason]) -> dg.AssetCheckResult:
    """Pass when nothing waits, else warn."""
    waiting = sum(reason.count for reason in reasons)
    words = "see `analytics quarantine list`; after a fix, `analytics quarantine replay`"
    return dg.AssetCheckResult(
        asset_key=WAITING_CHECK.asset_key,
        check_name=WAITING_CHECK.name,
        passed=waiting == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{waiting:,} rejected events of the last 30 days wait: {words}." if waiting else "Nothing waits.",
        metadata={"waiting": waiting, "reasons": _table(reasons)},
    )


@dg.multi_asset_check(
    name="quarantine",
    specs=[
        dg.AssetCheckSpec(
            SHARE_CHECK.name,
            asset=SHARE_CHECK.asset_key,
            description="At most 1 % of the events of the last 24 hours are rejected; above 10 % it is an error. "
            "Events that were replayed with success count as accepted.",
        ),
        dg.AssetCheckSpec(
            WAITING_CHECK.name,
            asset=WAITING_CHECK.asset_key,
            description="Every event that was rejected in the last 30 days was replayed with success.",
        ),
    ],
    can_subset=True,
)
def quarantine_checks(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
) -> Iterator[dg.AssetCheckResult]:
    """Count what is rejected and judge it."""
    now, settings = datetime.now(UTC), warehouse.settings
    with warehouse.client() as client:
        if SHARE_CHECK in context.selected_asset_check_keys:
            since = now - SHARE_SPAN
            yield judge_share(count_accepted(client, settings, since), read_waiting(client, settings, since))
        if WAITING_CHECK in context.selected_asset_check_keys:
            yield judge_waiting(read_waiting(client, settings, now - WAITING_SPAN))


def _table(reasons: Sequence[Reason]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "code": reason.code,
                    "source": reason.source,
                    "events": reason.count,
                    "first_received_at": reason.first_received_at.isoformat(),
                    "last_received_at": reason.last_received_at.isoformat(),
                }
            )
            for reason in reasons[:_REASONS]
        ],
        # Without it, an empty table has no columns to derive a schema from.
        dg.TableSchema(
            [
                dg.TableColumn("code"),
                dg.TableColumn("source"),
                dg.TableColumn("events", "int"),
                dg.TableColumn("first_received_at"),
                dg.TableColumn("last_received_at"),
            ]
        ),
    )
