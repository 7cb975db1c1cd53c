"""What arrived, looked at from afar: per event the properties, how often each came, and as what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ingest_api.tracking_plan.checking import DECIMAL_TEXT, TIMESTAMP_TEXT
from warehouse.client import Client, warehouse_errors
from warehouse.config import WarehouseSettings
from warehouse.raw_events import FRESHNESS_PROBE

SAMPLED_EVENTS = 100_000
"""The last so many events of a name are looked at."""
MOST_EVENT_NAMES, MOST_PROPERTIES = 500, 200
MOST_VALUES = 12
"""A property with more values than these has no enum; not one of its values leaves the database."""
LONGEST_VALUE = 64

_NAMES = """
    SELECT event_name, count()
    FROM {events:Identifier}.events
    WHERE event_name != {probe:String} AND inserted_at >= {first:Date} AND inserted_at < {after:Date}
        AND (empty({names:Array(String)}) OR event_name IN {names:Array(String)})
    GROUP BY event_name
    ORDER BY count() DESC, event_name
    LIMIT {limit:UInt32}
"""
# A value's first character tells its JSON type.
_PROPERTIES = """
    WITH
        sampled AS (
            SELECT properties, inserted_at
            FROM {events:Identifier}.events
            WHERE event_name = {name:String} AND inserted_at >= {first:Date} AND inserted_at < {after:Date}
            ORDER BY inserted_at DESC
            LIMIT {sampled:UInt32}
        ),
        valued AS (
            SELECT
                member.1 AS name,
                member.2 AS value,
                substring(value, 1, 1) AS begin,
                begin = '"' AS is_text,
                begin = '-' OR match(begin, '[0-9]') AS is_number,
                if(is_text, JSONExtractString(value), '') AS text
            FROM sampled
            ARRAY JOIN JSONExtractKeysAndValuesRaw(properties) AS member
            WHERE value != 'null'
        )
    SELECT
        name,
        least(count(), (SELECT count() FROM sampled)),
        (SELECT count() FROM sampled),
        countIf(is_text),
        countIf(is_number),
        countIf(begin IN ('t', 'f')),
        countIf(begin = '{'),
        countIf(begin = '['),
        countIf(is_number AND match(value, '^-?[0-9]{1,18}$')),
        countIf(is_text AND match(text, {decimal:String})),
        countIf(is_text AND position(text, '.') > 0),
        countIf(is_text AND match(text, {timestamp:String})),
        countIf(position(text, '@') > 0),
        if(
            length(groupUniqArray(<too many>)(text) AS some) < <too many>
            AND max(length(text)) <= {longest:UInt32} AND countIf(is_text) = count(),
            arraySort(some),
            []
        )
    FROM valued
    GROUP BY name
    ORDER BY count() DESC, name
    LIMIT {limit:UInt32}
""".replace("<too many>", str(MOST_VALUES + 1))


@dataclass(frozen=True, slots=True)
class ObservedProperty:
    """One property of an event: in how many of the sampled events it is, and as what. Counts are of values."""

    name: str
    events: int
    sampled_events: int
    texts: int
    numbers: int
    booleans: int
    objects: int
    arrays: int
    integers: int
    decimal_texts: int
    texts_with_a_point: int
    timestamp_texts: int
    texts_with_an_at: int
    values: Sequence[str]
    """Every value, sorted, of a text that has few and short ones; else nothing."""


@dataclass(frozen=True, slots=True)
class ObservedEvent:
    """One event name: how often it came in the period, and its properties, the most frequent first."""

    name: str
    events: int
    properties: tuple[ObservedProperty, ...]


@dataclass(frozen=True, slots=True)
class Period:
    """UTC days of arrival, both included."""

    first: date = date(1970, 1, 1)
    last: date = date(2148, 12, 31)

    def parameters(self) -> dict[str, date]:
        """As a half-open span for a statement."""
        return {"first": self.first, "after": self.last + timedelta(days=1)}


def observe(
    client: Client, settings: WarehouseSettings, period: Period, names: Sequence[str] = ()
) -> Iterator[ObservedEvent]:
    """Look at the events that arrived, the most frequent names first; with `names` only at those.

    Raises:
        WarehouseUnavailable, StatementRefused: the raw events cannot be read.
    """
    common = {"events": settings.database("raw"), **period.parameters()}
    wanted = {"names": list(names), "limit": MOST_EVENT_NAMES, "probe": FRESHNESS_PROBE}
    with warehouse_errors():
        counted = client.query(_NAMES, parameters=common | wanted).result_rows
    details = {
        "sampled": SAMPLED_EVENTS,
        "decimal": f"^{DECIMAL_TEXT}$",
        "timestamp": f"^{TIMESTAMP_TEXT}$",
        "longest": LONGEST_VALUE,
        "limit": MOST_PROPERTIES,
    }
    for name, count in counted:
        with warehouse_errors():
            rows = client.query(_PROPERTIES, parameters=common | details | {"name": name}).result_rows
        yield ObservedEvent(name, count, tuple(ObservedProperty(*row) for row in rows))
