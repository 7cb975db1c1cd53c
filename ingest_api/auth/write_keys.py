"""Public write keys: `wk_...`, one for each place that events come from."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

PREFIX = "wk_"


@dataclass(frozen=True, slots=True)
class WriteKey:
    """One issued key. The key itself is not kept, only its SHA-256, so a copy of the store opens nothing."""

    key_id: str
    source: str
    """Where events sent with it come from, for example web, ios or backend; stored with each event."""
    name: str
    digest: str
    issued_at: datetime


def digest_of(secret: str) -> str:
    """SHA-256 of a key, in hex. A key has 192 random bits, so a slow password hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_write_key(source: str, name: str, now: datetime) -> tuple[str, WriteKey]:
    """A new key: the secret, to be shown once, and the record to be stored."""
    secret = PREFIX + secrets.token_urlsafe(24)
    record = WriteKey(secrets.token_hex(4), source, name, digest_of(secret), now.replace(microsecond=0))
    return secret, record
