"""Posting as fast as the answers come, and how long it takes."""

from collections.abc import Sequence

from benchmarks.harness.load import Load
from benchmarks.harness.raw_table import RawTable
from benchmarks.harness.tracking import Request, Sender
from local_stack.startup import IngestStack

HALF_LOAD_BATCH = 100
_PROBE_EVENTS = 100_000


def seconds_to_answers(port: int, requests: Sequence[Request], connections: int) -> float:
    """Post all requests; seconds until the last is answered.

    Raises:
        RuntimeError: one was refused.
    """
    return _posted(port, requests, connections).seconds


def seconds_to_visible(running: IngestStack, table: RawTable, requests: Sequence[Request], connections: int) -> float:
    """Post all requests to an emptied table; seconds until their last event is visible in it. Errors as above."""
    table.clear()
    load = _posted(running.programs.settings.ports.api, requests, connections)
    return load.seconds + table.seconds_until_rows(load.acknowledged_events)


def half_load(running: IngestStack, table: RawTable) -> float:
    """Half of the events per second that now get from batches to visible rows; empties the table."""
    requests = list(Sender("full-load", running.access.write_key).batches(_PROBE_EVENTS, HALF_LOAD_BATCH))
    seconds = min(seconds_to_visible(running, table, requests, 4) for _ in range(2))
    table.clear()
    return _PROBE_EVENTS / seconds / 2


def _posted(port: int, requests: Sequence[Request], connections: int) -> Load:
    load = Load(port, iter(requests), connections=connections)
    load.run()
    if load.refused:
        raise RuntimeError(load.refused[0])
    return load
