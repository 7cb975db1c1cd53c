"""The tables that a flusher writes: inserting into them under a token, and looking up what is there."""

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta

from ingest_api.events.entries import (
    DEFINITION_CHANGES,
    EVENTS,
    FLAG_EVALUATIONS,
    QUARANTINE_REPLAYS,
    REJECTED_EVENTS,
)
from warehouse.client import Client, connect, warehouse_errors
from warehouse.config import WarehouseSettings

ID_COLUMNS: Mapping[str, str] = {
    EVENTS: "event_id",
    REJECTED_EVENTS: "rejection_id",
    QUARANTINE_REPLAYS: "replay_id",
    DEFINITION_CHANGES: "change_id",
    FLAG_EVALUATIONS: "count_id",
}
"""What identifies a row, by table."""

_INSERT_SECONDS = 60
_IDS_PER_QUERY = 1000
_PIECE_BYTES = 256 * 1024
# The clocks of Valkey and ClickHouse may differ; a row is never older than its entry by more than this.
_CLOCK_SKEW = timedelta(hours=1)
_SETTINGS = {
    "async_insert": 0,
    "date_time_input_format": "best_effort",
    "distributed_foreground_insert": 1,
    # In parallel, a body over 10 MB is read in pieces, and the token then stands for these pieces: the same token with
    # other rows would be taken.
    "input_format_parallel_parsing": 0,
    "input_format_skip_unknown_fields": 0,
}


class RawTables:
    """The tables of the raw database. Connects when first used, and again after `close`."""

    def __init__(self, settings: WarehouseSettings) -> None:
        self.is_replicated = bool(settings.clickhouse_cluster)
        """Whether several servers keep the rows: a token is then written together with the part, or not at all."""
        self._settings = settings
        self._client: Client | None = None

    def insert(self, table: str, lines: bytes, token: str) -> None:
        """Insert rows (lines of JSON) as one part: all of them, or none when the token was used before.

        Raises:
            WarehouseUnavailable: whether the rows are stored is unknown.
            StatementRefused: none is stored, and the token is not used up.
        """
        with warehouse_errors():
            # The driver sends a body given as bytes a second time when the connection breaks, although the first may
            # have been stored. It cannot do that with an iterator.
            self._connected().raw_insert(
                self._name(table),
                insert_block=_in_pieces(lines),
                settings={**_SETTINGS, "insert_deduplication_token": token},
                fmt="JSONEachRow",
            )

    def stored(self, table: str, ids: Sequence[str], since: datetime) -> set[str]:
        """Which of these ids came into the table since then; errors as for `insert`."""
        column = ID_COLUMNS[table]
        query = (
            f"SELECT {column} FROM {self._name(table)} "  # noqa: S608
            f"WHERE inserted_at >= fromUnixTimestamp64Milli(%(since_ms)s) AND {column} IN %(ids)s"
        )
        since_ms = int((since - _CLOCK_SKEW).timestamp() * 1000)
        found: set[str] = set()
        for start in range(0, len(ids), _IDS_PER_QUERY):
            with warehouse_errors():
                answer = self._connected().query(
                    query,
                    parameters={"since_ms": since_ms, "ids": tuple(ids[start : start + _IDS_PER_QUERY])},
                    settings={"max_query_size": 4_000_000},
                )
            found.update(row[0] for row in answer.result_rows)
        return found

    def close(self) -> None:
        """Close the connection, if any."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _name(self, table: str) -> str:
        return f"`{self._settings.database('raw')}`.{table}"

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._settings, timeout_seconds=_INSERT_SECONDS)
        return self._client


def _in_pieces(body: bytes) -> Generator[bytes, None, None]:
    """The body as HTTP chunks that the processor's cache holds while the driver copies them."""
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]
