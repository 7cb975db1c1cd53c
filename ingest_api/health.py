"""Is the service alive, is it ready, and how is each thing it depends on. Open without a token, without secrets.

`/health/ready` is about taking events, so it needs Valkey always, and ClickHouse once: a process is ready when it has
seen the schema up to date, and stays ready while ClickHouse is away, because events wait safely in Valkey meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Literal, TypeAlias, TypeVar, cast

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field
from redis.exceptions import RedisError

from ingest_api.camel_model import CamelModel
from ingest_api.errors import WarehouseAway
from ingest_api.events.stream import StreamState, stream_state
from ingest_api.services import Services
from warehouse.client import StatementRefused, WarehouseUnavailable, connect
from warehouse.config import WarehouseSettings
from warehouse.migrate import MigrationDrift, pending

CHECK_SECONDS = 2.0
"""No check takes longer; all run at the same time."""
_REMEMBER_SECONDS = 1.0
_SCHEMA_REMEMBER_SECONDS = 15.0
# Beside two flush intervals: one insert, and one retry of it.
_LATE_AFTER_SECONDS = 30.0

log = structlog.get_logger(__name__)
router = APIRouter(tags=["health"])

State: TypeAlias = Literal["up", "down", "behind", "stale", "unknown"]
AnyDependency = TypeVar("AnyDependency", bound="Dependency")


class Dependency(CamelModel):
    """One thing the service depends on."""

    state: State
    latency_ms: float | None = Field(description="How long the check took; null when nothing was asked")
    detail: str | None = Field(description="What is wrong, in words; null when nothing is")


class Flusher(Dependency):
    """The process that carries events on, judged by what waits in Valkey."""

    waiting_entries: int | None = Field(description="Groups of events that are not in ClickHouse yet")
    oldest_waiting_seconds: float | None = Field(description="Age of the oldest of them; 0 when none waits")
    dead_letters: int | None = Field(description="Events that ClickHouse refused for their data; kept in Valkey")
    used_share: float | None = Field(
        description="Memory that Valkey uses as a share of ANALYTICS_STREAM_MAX_BYTES; from 1 on events are refused"
    )


class Definitions(Dependency):
    """The flags that this process evaluates, from its memory."""

    version: int | None = Field(description="Number of changes of flags and segments; null when none were ever read")
    age_seconds: float | None = Field(description="How long ago Valkey confirmed them; null when it never did")


class Dependencies(CamelModel):
    """All of them."""

    clickhouse: Dependency = Field(description="Stores events and answers reports")
    valkey: Dependency = Field(description="Takes events before they are acknowledged; without it none are accepted")
    migrations: Dependency = Field(
        serialization_alias="schema", description="`behind` until `analytics migrate` has run"
    )
    flusher: Flusher = Field(description="Carries events from Valkey to ClickHouse; `behind` when they wait too long")
    definitions: Definitions = Field(
        description="Flags in memory; `stale` when Valkey has not confirmed them for FEATURE_FLAGS_CACHE_TTL seconds: "
        "they are evaluated all the same. `down` when this process has never seen them"
    )


class Health(CamelModel):
    """`ok`; `degraded`: events are accepted, something else is wrong; `down`: events are refused."""

    status: Literal["ok", "degraded", "down"]
    version: str
    checked_at: datetime
    dependencies: Dependencies


class Probe(CamelModel):
    """Answer to an orchestrator."""

    status: Literal["ok", "unavailable"]
    detail: str | None


class HealthMonitor:
    """Runs the checks and remembers their answers for a second, so that many askers cost no more than one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = asyncio.Lock()
        self._last: tuple[float, Health] | None = None
        self._schema: tuple[float, Dependency] | None = None
        self.schema_was_current = False

    async def health(self) -> Health:
        """The state now, at most a second old; takes at most `CHECK_SECONDS`."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > _REMEMBER_SECONDS:
                health = await self._check()
                self._last = time.monotonic(), health
            return self._last[1]

    async def _check(self) -> Health:
        clickhouse, valkey, schema, flusher = await asyncio.gather(
            _timed(self._clickhouse(), _down(_SILENT)),
            _timed(self._valkey(), _down(_SILENT)),
            self._schema_up_to_date(),
            _timed(self._flusher(), _flusher("unknown", _SILENT)),
        )
        if schema.state in ("up", "behind"):
            self.schema_was_current = schema.state == "up"
        definitions = self._definitions()
        all_up = all(one.state == "up" for one in (clickhouse, valkey, schema, flusher, definitions))
        return Health(
            status="down" if valkey.state != "up" else "ok" if all_up else "degraded",
            version=version("analytics-service"),
            checked_at=datetime.now(UTC),
            dependencies=Dependencies(
                clickhouse=clickhouse, valkey=valkey, migrations=schema, flusher=flusher, definitions=definitions
            ),
        )

    async def _clickhouse(self) -> Dependency:
        try:
            await self._services.warehouse.rows("SELECT 1", {}, timeout_seconds=CHECK_SECONDS)
        except WarehouseAway:
            return _down("ClickHouse does not answer")
        except StatementRefused as error:
            log.warning("health_clickhouse_refused", code=error.code)
            return _down("ClickHouse refuses this service's user")
        return _UP

    async def _valkey(self) -> Dependency:
        try:
            await self._services.valkey.ping()
        except (RedisError, OSError):
            return _down("Valkey does not answer")
        return _UP

    def _definitions(self) -> Definitions:
        definitions = self._services.flags.definitions
        age = definitions.age_seconds
        state: State = "up"
        detail = None
        if age is None:
            state, detail = "down", "Neither Valkey nor ClickHouse had definitions since this process started"
        elif definitions.is_stale:
            state, detail = "stale", f"Not confirmed for {age:.0f} seconds; they are evaluated all the same"
        return Definitions(
            state=state,
            latency_ms=0,
            detail=detail,
            version=None if age is None else definitions.current.snapshot.version,
            age_seconds=None if age is None else round(age, 3),
        )

    async def _schema_up_to_date(self) -> Dependency:
        if self._schema is not None and time.monotonic() - self._schema[0] < _SCHEMA_REMEMBER_SECONDS:
            return self._schema[1]
        asked = asyncio.to_thread(_schema_state, self._services.warehouse_settings)
        answer = await _timed(asked, Dependency(state="unknown", latency_ms=None, detail=_SILENT))
        # What is wrong is asked again each time, so that its repair shows at once.
        self._schema = (time.monotonic(), answer) if answer.state == "up" else None
        return answer

    async def _flusher(self) -> Flusher:
        try:
            stream = await stream_state(self._services.valkey, self._services.warehouse_settings.clickhouse_database)
        except (RedisError, OSError):
            return _flusher("unknown", "Valkey cannot be asked")
        settings = self._services.settings
        patience = _LATE_AFTER_SECONDS + 2 * settings.flush_interval_seconds
        state: State = "up"
        detail = None
        if not stream.flusher_alive:
            state, detail = "down", "No flusher runs; events wait in Valkey"
        elif stream.oldest_seconds > patience:
            state, detail = "behind", f"Events wait longer than {patience:g} seconds"
        return _flusher(state, detail, stream, settings.analytics_stream_max_bytes)


_SILENT = f"No answer within {CHECK_SECONDS:g} seconds"
_UP = Dependency(state="up", latency_ms=None, detail=None)


def _down(detail: str) -> Dependency:
    return Dependency(state="down", latency_ms=None, detail=detail)


def _flusher(state: State, detail: str | None, stream: StreamState | None = None, max_bytes: int = 1) -> Flusher:
    return Flusher(
        state=state,
        latency_ms=None,
        detail=detail,
        waiting_entries=stream.length if stream else None,
        oldest_waiting_seconds=round(stream.oldest_seconds, 3) if stream else None,
        dead_letters=stream.dead_letters if stream else None,
        used_share=round(stream.used_bytes / max_bytes, 4) if stream else None,
    )


async def _timed(check: Awaitable[AnyDependency], when_silent: AnyDependency) -> AnyDependency:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            answer = await check
    except TimeoutError:
        answer = when_silent
    return answer.model_copy(update={"latency_ms": round((time.perf_counter() - started) * 1000, 2)})


def _schema_state(settings: WarehouseSettings) -> Dependency:
    """Blocking: compares the migrations of this code with the ledger in ClickHouse."""
    try:
        client = connect(settings, timeout_seconds=int(CHECK_SECONDS))
        try:
            missing = pending(client, settings)
        finally:
            client.close()
    except MigrationDrift as drift:
        return Dependency(state="behind", latency_ms=None, detail=str(drift))
    except (WarehouseUnavailable, StatementRefused):
        return Dependency(state="unknown", latency_ms=None, detail="ClickHouse cannot be asked")
    if missing:
        detail = f"{len(missing)} migrations are pending; run `analytics migrate`"
        return Dependency(state="behind", latency_ms=None, detail=detail)
    return _UP


def _monitor(request: Request) -> HealthMonitor:
    return cast("HealthMonitor", request.scope["state"]["health"])


Monitor = Annotated[HealthMonitor, Depends(_monitor)]


@router.get(
    "/health",
    summary="State of everything",
    responses={503: {"model": Health, "description": "`down`: events are refused"}},
)
async def health(monitor: Monitor, response: Response) -> Health:
    """The state and latency of each dependency; 503 when the status is `down`."""
    state = await monitor.health()
    response.status_code = 503 if state.status == "down" else 200
    response.headers["cache-control"] = "no-store"
    return state


@router.get("/health/live", summary="Is the process running")
async def live() -> Probe:
    """The process runs. It asks nothing else: restarting the API repairs no dependency."""
    return Probe(status="ok", detail=None)


@router.get(
    "/health/ready",
    summary="May requests be sent here",
    responses={503: {"model": Probe, "description": "Send no requests here yet"}},
)
async def ready(monitor: Monitor, response: Response) -> Probe:
    """Whether to route requests here: Valkey answers and the schema was seen up to date by this process."""
    state = (await monitor.health()).dependencies
    reason = None
    if state.valkey.state != "up":
        reason = state.valkey.detail
    elif not monitor.schema_was_current:
        reason = state.migrations.detail or state.clickhouse.detail
    if reason is None:
        return Probe(status="ok", detail=None)
    response.status_code = 503
    response.headers["retry-after"] = "2"
    return Probe(status="unavailable", detail=reason)
