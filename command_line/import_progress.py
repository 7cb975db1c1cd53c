"""What an import has done, kept in a file so that an interrupted one can go on, and its rejected rows in another."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

_SAVE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the rows so far, earlier parts of a resumed import included."""

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    """Rows that stand for no event."""
    resumed_at: int = 0
    """Rows that an interrupted import had done before."""
    rejected_path: Path | None = None
    """Where the rejected rows and their reasons are, one JSON object a line; None when there are none."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not stored. `row` counts from 1 after the header; `source` is the row as it was read."""

    row: int
    code: str
    field: str
    message: str
    source: dict[str, Any] | str


class _Checkpoint(msgspec.Struct):
    fingerprint: str
    rows: int
    accepted: int
    rejected: int
    skipped: int
    rejected_bytes: int


class ImportProgress:
    """The report of one import, written down about once a second while the context is open, and when it closes."""

    def __init__(self, checkpoint: Path, fingerprint: str) -> None:
        """Go on from `checkpoint` when it is of the import with this fingerprint, else begin anew."""
        self._checkpoint = checkpoint
        self._fingerprint = fingerprint
        self._rejected_path = checkpoint.with_suffix(".rejected.ndjson")
        self._rejected_file: IO[bytes] | None = None
        self._saved_at = time.monotonic()
        done = self._load()
        self.report = ImportReport(done.rows, done.accepted, done.rejected, done.skipped, done.rows)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        if done.rejected_bytes:
            # Rows that were rejected after the checkpoint was written come again.
            os.truncate(self._rejected_path, done.rejected_bytes)
            self.report = replace(self.report, rejected_path=self._rejected_path)
        else:
            self._rejected_path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._save()
        if self._rejected_file is not None:
            self._rejected_file.close()

    def add(self, rows: int, accepted: int, rejected: Sequence[RejectedRow]) -> None:
        """Count the next rows of the file; those neither accepted nor rejected were skipped."""
        report = self.report
        if rejected:
            self._write_rejected(rejected)
            report = replace(report, rejected_path=self._rejected_path)
        self.report = replace(
            report,
            rows=report.rows + rows,
            accepted=report.accepted + accepted,
            rejected=report.rejected + len(rejected),
            skipped=report.skipped + rows - accepted - len(rejected),
        )
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self._save()

    def finish(self) -> None:
        """Forget the checkpoint: the import is complete, and another one of the same file begins at its first row."""
        self._checkpoint.unlink(missing_ok=True)

    def _load(self) -> _Checkpoint:
        nothing = _Checkpoint(self._fingerprint, 0, 0, 0, 0, 0)
        try:
            found = msgspec.json.decode(self._checkpoint.read_bytes(), type=_Checkpoint)
            rejected_bytes = self._rejected_path.stat().st_size if found.rejected_bytes else 0
        except (FileNotFoundError, msgspec.MsgspecError):
            return nothing
        usable = found.fingerprint == self._fingerprint and rejected_bytes >= found.rejected_bytes
        return found if usable else nothing

    def _write_rejected(self, rejected: Sequence[RejectedRow]) -> None:
        if self._rejected_file is None:
            self._rejected_file = self._rejected_path.open("ab")
        self._rejected_file.write(msgspec.json.Encoder(enc_hook=str).encode_lines(rejected))

    def _save(self) -> None:
        if self._rejected_file is not None:
            self._rejected_file.flush()
        report = self.report
        size = self._rejected_path.stat().st_size if report.rejected else 0
        state = _Checkpoint(self._fingerprint, report.rows, report.accepted, report.rejected, report.skipped, size)
        fresh = self._checkpoint.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(self._checkpoint)
        self._saved_at = time.monotonic()
