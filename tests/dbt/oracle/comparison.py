"""Rows that a mart should hold against those that it holds."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeAlias

from warehouse.client import Client

Row: TypeAlias = tuple[Any, ...]


def found_rows(client: Client, table: str, columns: Iterable[str]) -> Counter[Row]:
    return counted(client.query(f"SELECT {', '.join(columns)} FROM {table}").result_rows)


def counted(rows: Iterable[Iterable[Any]]) -> Counter[Row]:
    return Counter(tuple(_comparable(value) for value in row) for row in rows)


def _comparable(value: Any) -> Any:
    # The last bit of a quotient depends on the order in which it was rounded.
    return float(f"{value:.12g}") if isinstance(value, float) else value
