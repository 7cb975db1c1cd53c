"""What the flag routes share while the API runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from flags.redis_store import DefinitionStore
from flags.sticky_store import StickyStore
from ingest_api import background_tasks
from ingest_api.config import ApiSettings
from ingest_api.events.stream import EventStream, stream_keys
from ingest_api.flags.change_log import ChangeLog
from ingest_api.flags.definitions import Definitions
from ingest_api.flags.editing import Editor
from ingest_api.flags.evaluating import Evaluator
from ingest_api.flags.listeners import Listeners
from ingest_api.flags.payloads import Payloads
from ingest_api.flags.recent_answers import RecentAnswers
from ingest_api.flags.scheduling import Scheduler
from ingest_api.flags.tally import Tally
from ingest_api.warehouse_reader import WarehouseReader


@dataclass(frozen=True, slots=True)
class FlagServices:
    """Definitions, and what changes, evaluates and counts them."""

    definitions: Definitions
    changes: ChangeLog
    editor: Editor
    scheduler: Scheduler
    evaluator: Evaluator
    tally: Tally
    recent: RecentAnswers
    payloads: Payloads
    listeners: Listeners


@asynccontextmanager
async def open_flags(
    settings: ApiSettings, valkey: Redis, warehouse: WarehouseReader, stream: EventStream
) -> AsyncIterator[FlagServices]:
    """Read the definitions, as far as Valkey answers, and follow their changes while the context is open."""
    environment = warehouse.settings.clickhouse_database
    store = DefinitionStore(valkey, environment, stream_keys(environment).events)
    changes = ChangeLog(warehouse)
    definitions = Definitions(store, changes, settings.feature_flags_cache_ttl)
    await definitions.refresh()
    editor = Editor(definitions)
    scheduler = Scheduler(definitions, editor)
    tally = Tally(stream)
    payloads = Payloads(definitions)
    listeners = Listeners(payloads)
    sticky = StickyStore(valkey, environment)
    async with AsyncExitStack() as stack:
        stack.callback(tally.flush)
        for name, work in (
            ("definitions", definitions.watch()),
            ("definition changes", definitions.listen()),
            ("scheduled changes", scheduler.keep_going()),
            ("evaluation counts", tally.keep_flushing()),
            ("listeners", listeners.watch()),
        ):
            stack.push_async_callback(background_tasks.end, asyncio.create_task(work, name=name))
        yield FlagServices(
            definitions=definitions,
            changes=changes,
            editor=editor,
            scheduler=scheduler,
            evaluator=Evaluator(definitions, sticky, stream, settings.feature_flags_exposure_share),
            tally=tally,
            recent=RecentAnswers(tally),
            payloads=payloads,
            listeners=listeners,
        )
