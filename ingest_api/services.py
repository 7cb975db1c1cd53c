"""What handlers share while the API runs: opened in order when it starts, closed in reverse order when it stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.types import Scope

from ingest_api import background_tasks
from ingest_api.auth.access_list import AccessList
from ingest_api.auth.access_store import AccessStore
from ingest_api.auth.principals import Authenticator
from ingest_api.config import ApiSettings, StreamSettings
from ingest_api.events.intake import Intake
from ingest_api.events.singles import Singles
from ingest_api.events.stream import EventStream, open_event_stream
from ingest_api.experiments.experiment_services import ExperimentServices, experiment_services
from ingest_api.flags.flag_services import FlagServices, open_flags
from ingest_api.metrics import IngestMetrics
from ingest_api.tracking_plan.plan import TrackingPlan
from ingest_api.warehouse_reader import WarehouseReader
from warehouse.config import WarehouseSettings


@dataclass(frozen=True, slots=True)
class Services:
    """The lifespan state of one API process."""

    settings: ApiSettings
    warehouse_settings: WarehouseSettings
    valkey: Redis
    warehouse: WarehouseReader
    authenticator: Authenticator
    event_stream: EventStream
    singles: Singles
    metrics: IngestMetrics
    tracking_plan: TrackingPlan
    intake: Intake
    flags: FlagServices
    experiments: ExperimentServices


def valkey_client(settings: StreamSettings) -> Redis:
    """A client that connects at its first command and repeats none by itself: that Valkey is away must show at once."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
    )


@asynccontextmanager
async def open_services(
    settings: ApiSettings, warehouse_settings: WarehouseSettings, intake: Intake
) -> AsyncIterator[Services]:
    """Open everything; neither Valkey nor ClickHouse has to be there yet."""
    async with AsyncExitStack() as stack:
        valkey = await stack.enter_async_context(valkey_client(settings))
        warehouse = WarehouseReader(warehouse_settings)
        stack.push_async_callback(warehouse.close)
        environment = warehouse_settings.clickhouse_database
        access = AccessList(AccessStore(valkey, environment))
        await access.refresh()
        stack.push_async_callback(background_tasks.end, asyncio.create_task(access.watch(), name="access list"))
        metrics = IngestMetrics()
        event_stream = await stack.enter_async_context(
            open_event_stream(settings.redis_url, environment, settings.analytics_stream_max_bytes, metrics.appended)
        )
        flags = await stack.enter_async_context(open_flags(settings, valkey, warehouse, event_stream))
        yield Services(
            settings=settings,
            warehouse_settings=warehouse_settings,
            valkey=valkey,
            warehouse=warehouse,
            authenticator=Authenticator(settings.jwt_secret, access),
            event_stream=event_stream,
            singles=Singles(intake, event_stream, metrics),
            metrics=metrics,
            tracking_plan=intake.plan,
            intake=intake,
            flags=flags,
            experiments=experiment_services(settings, flags, event_stream),
        )


def services_of(scope: Scope) -> Services:
    """The services of the process that serves this request (ASGI lifespan state)."""
    return cast("Services", scope["state"]["services"])
