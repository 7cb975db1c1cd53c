"""What a flusher tells those who watch it."""

from typing import Protocol


class FlusherObserver(Protocol):
    """Is told what a flusher did, in the flusher's own thread: it must be quick and must not raise."""

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        """An insert into a table of the raw database took this long."""

    def flushed(self, events: int, entries: int, seconds: float, oldest_seconds: float) -> None:
        """A batch left the stream, this long after it was begun and after its oldest entry was appended."""

    def postponed(self, table: str) -> None:
        """An insert failed for a reason that passes; it will be tried again."""

    def repaired(self, table: str, rows: int) -> None:
        """Rows that an insert with an unknown outcome had left out were stored."""

    def refused(self, table: str) -> None:
        """The warehouse refused one row for its data; it was set aside."""

    def claimed(self, entries: int) -> None:
        """Entries of dead flushers were taken over."""


class Unobserved:
    """Watches nothing."""

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        """Do nothing."""

    def flushed(self, events: int, entries: int, seconds: float, oldest_seconds: float) -> None:
        """Do nothing."""

    def postponed(self, table: str) -> None:
        """Do nothing."""

    def repaired(self, table: str, rows: int) -> None:
        """Do nothing."""

    def refused(self, table: str) -> None:
        """Do nothing."""

    def claimed(self, entries: int) -> None:
        """Do nothing."""
