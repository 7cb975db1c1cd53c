"""The directory that holds everything a stack keeps, and the lock that lets one stack at a time use it."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from local_stack.credentials import write_private


class AlreadyRunning(RuntimeError):
    """Another process holds the state directory."""

    @classmethod
    def by(cls, pid: int | None) -> "AlreadyRunning":
        """Say which process holds it and what to do."""
        return cls(
            f"The stack is already running (process {pid}): `python -m local_stack status` shows it, "
            "`python -m local_stack down` stops it."
        )


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """What `status` needs to know of one process; `started_at` is in seconds since 1970."""

    name: str
    pid: int
    address: str
    health_url: str
    started_at: float


@dataclass(frozen=True, slots=True)
class Roster:
    """What a supervisor has started so far, and whether that is all."""

    is_ready: bool
    processes: list[RunningProcess]


@dataclass(frozen=True, slots=True)
class Access:
    """The ready-made ways in: where the API is, an administrator's token, keys that may only send events."""

    api_url: str
    dagster_url: str
    token: str
    write_key: str
    issued_at: float
    """Seconds since 1970."""
    probe_key: str = ""
    """Write key of the event that Dagster sends each minute; a directory of an older version has none."""


class StateDirectory:
    """Paths below the state directory, and who uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.valkey = self.path / "valkey"
        self.clickhouse = self.path / "clickhouse"
        self.dagster = self.path / "dagster"
        self.dbt = self.path / "dbt"
        self.users_file = self.path / "clickhouse_users.xml"
        self.credentials_file = self.path / "secrets.env"
        self._lock_file = self.path / "stack.lock"
        self._roster_file = self.path / "processes.json"
        self._access_file = self.path / "access.json"

    def log_path(self, name: str) -> Path:
        """File for the output of the process with this name."""
        return self.logs / f"{name}.log"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Use the directory alone. The kernel drops the lock when this process ends in whatever way: none gets stale.

        Raises:
            AlreadyRunning: another process uses it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("a+") as lock:
            # `status` holds the lock for a moment to see whether it is free.
            for attempt in range(10):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if attempt == 9:
                        raise AlreadyRunning.by(self.holder()) from error
                    time.sleep(0.05)
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            # A supervisor that was killed leaves its roster behind.
            self._roster_file.unlink(missing_ok=True)
            try:
                yield
            finally:
                self._roster_file.unlink(missing_ok=True)

    def holder(self) -> int | None:
        """Return the process id of the supervisor that uses the directory, None when nobody does."""
        if not self._lock_file.exists():
            return None
        with self._lock_file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(lock.read().strip() or 0) or None
        return None

    def write_roster(self, roster: Roster) -> None:
        """Record what runs, for `status` (mode 0600: a health address may hold a password)."""
        write_private(self._roster_file, json.dumps(asdict(roster)))

    def read_roster(self) -> Roster:
        """Return what the supervisor recorded; an empty roster when none did."""
        if not self._roster_file.exists():
            return Roster(is_ready=False, processes=[])
        content = json.loads(self._roster_file.read_text())
        return Roster(content["is_ready"], [RunningProcess(**entry) for entry in content["processes"]])

    def is_ready(self) -> bool:
        """Whether a supervisor runs here and has everything up."""
        return self.holder() is not None and self.read_roster().is_ready

    def write_access(self, access: Access) -> None:
        """Keep the ready-made token and key, for `demo` against a stack that already runs (mode 0600)."""
        write_private(self._access_file, json.dumps(asdict(access)))

    def read_access(self) -> Access | None:
        """Return the ready-made token and key, None before the first start."""
        return Access(**json.loads(self._access_file.read_text())) if self._access_file.exists() else None

    def is_used(self) -> bool:
        """Whether a stack has ever kept its state here."""
        return self._lock_file.exists()

    def delete(self) -> None:
        """Delete everything in it. A directory that no stack has used is left alone: the path may be a typing error."""
        if self.is_used():
            shutil.rmtree(self.path)
