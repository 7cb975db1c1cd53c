"""HTTP sessions: a connection that several requests use one after the other, with its temporary tables and settings."""

import threading
import time
from dataclasses import dataclass

from local_stack.clickhouse_gateway.engine import Connection, Engine
from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.users import User

_DEFAULT_TIMEOUT_SECONDS = 60
_MAX_TIMEOUT_SECONDS = 3600


@dataclass(slots=True)
class Session:
    """A session; `connection` is opened by the first query, `database` is what USE chose."""

    key: tuple[str, str]
    timeout_seconds: int
    database: str
    connection: Connection | None = None
    locked: bool = True
    expires_at: float = 0.0


def timeout_seconds(text: str | None) -> int:
    """Read the parameter session_timeout. Raises ClickHouseError 374."""
    if text is None:
        return _DEFAULT_TIMEOUT_SECONDS
    if not text.isdecimal():
        raise ClickHouseError(374, f"Invalid session timeout: '{text}'")
    if int(text) > _MAX_TIMEOUT_SECONDS:
        raise ClickHouseError(
            374, f"Session timeout '{text}' is larger than max_session_timeout: {_MAX_TIMEOUT_SECONDS}."
        )
    return int(text)


class Sessions:
    """All sessions, by user and session id. May be used from many threads."""

    def __init__(self, engine: Engine, max_sessions: int) -> None:
        self._engine = engine
        self._max_sessions = max_sessions
        self._sessions: dict[tuple[str, str], Session] = {}
        self._lock = threading.Lock()

    def lease(self, user: User, session_id: str, timeout: int, must_exist: bool) -> Session:
        """Take a session for one query, making it if it is new.

        Raises ClickHouseError: 372 (it must exist and does not), 373 (another query has it), 202 (too many sessions).
        """
        key = (user.name, session_id)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                if must_exist:
                    raise ClickHouseError(372, f"Session {session_id} not found")
                if len(self._sessions) >= self._max_sessions:
                    raise ClickHouseError(202, f"Too many sessions. Maximum: {self._max_sessions}")
                session = self._sessions[key] = Session(key, timeout, user.default_database)
            elif session.locked:
                raise ClickHouseError(373, f"Session {session_id} is locked by a concurrent client")
            session.locked = True
            session.timeout_seconds = timeout
            return session

    def release(self, session: Session, close: bool = False) -> None:
        """Give a session back; it lives on for its timeout unless it is to be closed."""
        with self._lock:
            session.locked = False
            session.expires_at = time.monotonic() + session.timeout_seconds
            if close:
                del self._sessions[session.key]
        if close and session.connection is not None:
            session.connection.close()

    def expire(self) -> None:
        """Close the sessions whose time is over."""
        now = time.monotonic()
        with self._lock:
            over = [session for session in self._sessions.values() if not session.locked and session.expires_at <= now]
            for session in over:
                del self._sessions[session.key]
        for session in over:
            if session.connection is not None:
                session.connection.close()

    def close(self) -> None:
        """Close all sessions that no query uses."""
        with self._lock:
            idle = [session for session in self._sessions.values() if not session.locked]
            for session in idle:
                del self._sessions[session.key]
        for session in idle:
            if session.connection is not None:
                session.connection.close()
