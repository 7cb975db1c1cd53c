"""An event a minute through the front door, to measure how long events take until they can be queried."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dagster as dg
import httpx
import msgspec

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.raw.assets import ARRIVAL_CHECK
from dagster_project.defs.resources import WarehouseResource
from warehouse.client import Client, StatementRefused, WarehouseUnavailable
from warehouse.config import WarehouseSettings
from warehouse.raw_events import FRESHNESS_PROBE

TRACK_PATH = "/api/analytics/track"
PROBE_SECONDS = 60
POST_TIMEOUT_SECONDS = 5.0
REMEMBERED = timedelta(hours=1)
"""How long an event that has not arrived counts as missing."""
_POLL_SECONDS = 0.5
# The clocks of Valkey, the API and ClickHouse do not matter: both moments are read from ClickHouse's.
_ARRIVED = """
SELECT now64(3, 'UTC'), groupArray((event_id, first_inserted_at)) FROM (
    SELECT event_id, min(inserted_at) AS first_inserted_at FROM {raw:Identifier}.events
    WHERE inserted_at >= {since:DateTime64(3, 'UTC')} AND event_name = {probe:String}
        AND event_id IN {ids:Array(String)}
    GROUP BY event_id
)
"""


class ProbeRefused(Exception):
    """The API did not take the event; the message says why."""


class SentProbe(msgspec.Struct, frozen=True, array_like=True):
    """An event that was accepted, until it is seen in `raw.events`."""

    event_id: str
    sent_at: datetime
    """By ClickHouse's clock."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What ClickHouse knows: its time, and when each probe that has arrived was inserted."""

    now: datetime
    inserted_at: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the probes say about the way to `raw.events`."""

    passed: bool
    seconds: float | None
    """From sending the newest probe that arrived to its row; None while none did."""
    missing: tuple[str, ...]
    """Ids of those that should have arrived and have not."""


def limit_of(settings: OrchestrationSettings) -> timedelta:
    """Within which time an event must arrive: two flush intervals, for an insert and a retry of it, and 10 seconds."""
    return timedelta(seconds=2 * settings.analytics_flush_interval / 1000 + 10)


def observe(client: Client, settings: WarehouseSettings, probes: Sequence[SentProbe]) -> Observation:
    """Look which of these probes have arrived; reads only rows that came in since the oldest was sent."""
    answer = client.query(
        _ARRIVED,
        parameters={
            "raw": settings.database("raw"),
            "since": min((probe.sent_at for probe in probes), default=datetime.now(UTC)) - timedelta(minutes=1),
            "probe": FRESHNESS_PROBE,
            "ids": [probe.event_id for probe in probes],
        },
    )
    now, arrived = answer.result_rows[0]
    return Observation(now, dict(arrived))


def judge(probes: Sequence[SentProbe], seen: Observation, limit: timedelta) -> Verdict | None:
    """Judge the probes, oldest first: None while none has arrived and none is overdue.

    It passes when the newest that arrived was in time and none is overdue.
    """
    arrived = [probe for probe in probes if probe.event_id in seen.inserted_at]
    missing = [probe for probe in probes if probe.event_id not in seen.inserted_at and seen.now - probe.sent_at > limit]
    if not arrived and not missing:
        return None
    took = seen.inserted_at[arrived[-1].event_id] - arrived[-1].sent_at if arrived else None
    return Verdict(
        passed=not missing and took is not None and took <= limit,
        seconds=took.total_seconds() if took is not None else None,
        missing=tuple(probe.event_id for probe in missing),
    )


def unanswered(probes: Sequence[SentProbe], seen: Observation) -> list[SentProbe]:
    """The probes to go on looking for."""
    return [
        probe for probe in probes if probe.event_id not in seen.inserted_at and seen.now - probe.sent_at < REMEMBERED
    ]


def send_probe(settings: OrchestrationSettings) -> str:
    """Post one event and return its id.

    Raises:
        ProbeRefused: the API is away, or answered something else than 202.
    """
    event_id = f"freshness-probe-{uuid4()}"
    try:
        answer = httpx.post(
            settings.analytics_probe_url.rstrip("/") + TRACK_PATH,
            json={"eventId": event_id, "eventName": FRESHNESS_PROBE, "anonymousId": "freshness-probe"},
            headers={"authorization": f"Bearer {settings.analytics_probe_write_key}"},
            timeout=POST_TIMEOUT_SECONDS,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProbeRefused(f"The API does not answer at ANALYTICS_PROBE_URL: {type(error).__name__}.") from error
    if answer.status_code != httpx.codes.ACCEPTED:
        raise ProbeRefused(f"The API answered {answer.status_code}: {answer.text[:500]}")
    return event_id


def missing_settings(settings: OrchestrationSettings) -> list[str]:
    """The variables that have to be set before a probe can be sent."""
    values = {
        "ANALYTICS_PROBE_URL": settings.analytics_probe_url,
        "ANALYTICS_PROBE_WRITE_KEY": settings.analytics_probe_write_key,
    }
    return [name for name, value in values.items() if not value]


def evaluation(verdict: Verdict | None, limit: timedelta, problem: str = "") -> dg.AssetCheckEvaluation:
    """The check's result; a problem, in words, makes it fail whatever the verdict on earlier probes is."""
    seconds = verdict.seconds if verdict else None
    missing = verdict.missing if verdict else ()
    words = [
        problem,
        f"Not arrived: {len(missing)} of the events sent in the last hour." if missing else "",
        ""
        if seconds is None
        else f"The newest took {seconds:.1f} s to arrive; {limit.total_seconds():g} s are allowed.",
    ]
    return dg.AssetCheckEvaluation(
        asset_key=ARRIVAL_CHECK.asset_key,
        check_name=ARRIVAL_CHECK.name,
        passed=bool(verdict and verdict.passed and not problem),
        description=" ".join(filter(None, words)),
        metadata={
            **({} if seconds is None else {"seconds_to_arrive": seconds}),
            "seconds_allowed": limit.total_seconds(),
            "missing": len(missing),
            "missing_ids": list(missing),
        },
    )


@dg.sensor(
    name="freshness_probe_sensor",
    minimum_interval_seconds=PROBE_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends an event through the API each minute and reports how long the one before took to arrive. "
    "It starts no run.",
)
def freshness_probe_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource
) -> dg.SensorResult | dg.SkipReason:
    """Judge the events that were sent before, then send another. The cursor holds those that were not seen yet."""
    settings = OrchestrationSettings()
    if unset := missing_settings(settings):
        return dg.SkipReason(f"To measure how long events take to arrive, set {' and '.join(unset)}.")
    limit = limit_of(settings)
    probes = msgspec.json.decode(context.cursor, type=list[SentProbe]) if context.cursor else []
    try:
        with warehouse.client() as client:
            seen = observe(client, warehouse.settings, probes)
    except (StatementRefused, WarehouseUnavailable) as error:
        failed = evaluation(None, limit, f"ClickHouse cannot be asked: {error}")
        return dg.SensorResult(skip_reason=failed.description, asset_events=[failed], cursor=context.cursor)
    verdict = judge(probes, seen, limit)
    probes, problem = unanswered(probes, seen), ""
    try:
        probes.append(SentProbe(send_probe(settings), seen.now))
    except ProbeRefused as refusal:
        problem = str(refusal)
    result = evaluation(verdict, limit, problem) if verdict or problem else None
    return dg.SensorResult(
        skip_reason=result.description if result else "An event was sent; the next tick looks for it.",
        asset_events=[result] if result else [],
        cursor=msgspec.json.encode(probes).decode(),
    )


@dg.asset_check(
    asset=ARRIVAL_CHECK.asset_key,
    name=ARRIVAL_CHECK.name,
    description="An event that is sent to the API can be queried within two flush intervals and 10 seconds. "
    "freshness_probe_sensor reports it each minute; executed by hand, it sends an event and waits for it.",
)
def arrival_check(warehouse: WarehouseResource) -> dg.AssetCheckResult:
    """Send one event and wait until it has arrived or is overdue."""
    settings = OrchestrationSettings()
    if unset := missing_settings(settings):
        raise dg.Failure(f"There is no way to send an event: set {' and '.join(unset)}.", allow_retries=False)
    limit = limit_of(settings)
    with warehouse.client() as client:
        result = _wait_for_probe(client, warehouse.settings, settings, limit)
    return dg.AssetCheckResult(passed=result.passed, metadata=result.metadata, description=result.description)


def _wait_for_probe(
    client: Client, warehouse_settings: WarehouseSettings, settings: OrchestrationSettings, limit: timedelta
) -> dg.AssetCheckEvaluation:
    started = observe(client, warehouse_settings, []).now
    try:
        probes = [SentProbe(send_probe(settings), started)]
    except ProbeRefused as refusal:
        return evaluation(None, limit, str(refusal))
    while (verdict := judge(probes, observe(client, warehouse_settings, probes), limit)) is None:
        time.sleep(_POLL_SECONDS)
    return evaluation(verdict, limit)
