"""Which tokens and write keys were issued and which of them were revoked, kept in Valkey.

Issued records are written once and never changed; a revocation is a record of its own, so that two operators never
overwrite each other. `version` grows with each change: API processes read it to learn that their copy is old.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from redis.asyncio import Redis

from ingest_api.auth.tokens import TokenClaims
from ingest_api.auth.write_keys import WriteKey

_FORGET_EXPIRED_AFTER = timedelta(days=30)


class UnknownCredential(Exception):
    """No credential with this id was issued in this environment."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An issued token as `analytics token list` shows it."""

    claims: TokenClaims
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """An issued write key as `analytics key list` shows it."""

    key: WriteKey
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccessSnapshot:
    """What an API process needs to judge credentials without asking Valkey."""

    version: int
    keys_by_digest: dict[str, WriteKey]
    revoked: frozenset[str]
    """`token:<id>` and `key:<id>`."""

    def is_token_revoked(self, token_id: str) -> bool:
        """Whether this token must be refused although its signature is good."""
        return f"token:{token_id}" in self.revoked

    def is_key_revoked(self, key_id: str) -> bool:
        """Whether this write key must be refused although it was issued."""
        return f"key:{key_id}" in self.revoked


class AccessStore:
    """Credentials of one environment (one `CLICKHOUSE_DATABASE`). Every method may raise `redis.RedisError`."""

    def __init__(self, valkey: Redis, environment: str) -> None:
        self._valkey = valkey
        prefix = f"{{{environment}}}:access:"
        self._tokens, self._keys = prefix + "tokens", prefix + "keys"
        self._revocations, self._version = prefix + "revocations", prefix + "version"

    async def add_token(self, claims: TokenClaims, now: datetime) -> None:
        """Remember a token that is being issued; forget those that expired a month ago."""
        old = [one for one in await self.tokens() if one.claims.expires_at + _FORGET_EXPIRED_AFTER < now]
        async with self._valkey.pipeline(transaction=True) as changes:
            changes.hset(self._tokens, claims.token_id, msgspec.json.encode(claims))
            for one in old:
                changes.hdel(self._tokens, one.claims.token_id)
                changes.hdel(self._revocations, f"token:{one.claims.token_id}")
            changes.incr(self._version)
            await changes.execute()

    async def add_key(self, key: WriteKey) -> None:
        """Remember a write key that is being issued."""
        async with self._valkey.pipeline(transaction=True) as changes:
            changes.hset(self._keys, key.key_id, msgspec.json.encode(key))
            changes.incr(self._version)
            await changes.execute()

    async def revoke_token(self, token_id: str, now: datetime) -> None:
        """Refuse a token from now on. Raises `UnknownCredential`; revoking twice keeps the first time."""
        await self._revoke(self._tokens, "token", token_id, now)

    async def revoke_key(self, key_id: str, now: datetime) -> None:
        """Refuse a write key from now on. Raises `UnknownCredential`; revoking twice keeps the first time."""
        await self._revoke(self._keys, "key", key_id, now)

    async def tokens(self) -> list[IssuedToken]:
        """All tokens that are remembered, the newest first."""
        revoked = await self._revoked()
        found = [
            msgspec.json.decode(record, type=TokenClaims)
            for record in (await self._valkey.hgetall(self._tokens)).values()
        ]
        found.sort(key=lambda claims: (claims.issued_at, claims.token_id), reverse=True)
        return [IssuedToken(claims, revoked.get(f"token:{claims.token_id}")) for claims in found]

    async def keys(self) -> list[IssuedKey]:
        """All write keys, the newest first."""
        revoked = await self._revoked()
        found = [
            msgspec.json.decode(record, type=WriteKey) for record in (await self._valkey.hgetall(self._keys)).values()
        ]
        found.sort(key=lambda key: (key.issued_at, key.key_id), reverse=True)
        return [IssuedKey(key, revoked.get(f"key:{key.key_id}")) for key in found]

    async def version(self) -> int:
        """Number of changes so far; 0 in an environment where nothing was issued."""
        return int(await self._valkey.get(self._version) or 0)

    async def snapshot(self) -> AccessSnapshot:
        """Everything needed to judge credentials, read at one moment."""
        async with self._valkey.pipeline(transaction=True) as reading:
            reading.get(self._version)
            reading.hvals(self._keys)
            reading.hkeys(self._revocations)
            version, keys, revoked = await reading.execute()
        records = (msgspec.json.decode(record, type=WriteKey) for record in keys)
        return AccessSnapshot(
            version=int(version or 0),
            keys_by_digest={record.digest: record for record in records},
            revoked=frozenset(name.decode() for name in revoked),
        )

    async def _revoked(self) -> dict[str, datetime]:
        found = await self._valkey.hgetall(self._revocations)
        return {_text(name): datetime.fromisoformat(_text(when)) for name, when in found.items()}

    async def _revoke(self, issued: str, kind: str, credential_id: str, now: datetime) -> None:
        if not await self._valkey.hexists(issued, credential_id):
            raise UnknownCredential(f"no {kind} {credential_id} was issued in this environment")
        async with self._valkey.pipeline(transaction=True) as changes:
            changes.hsetnx(self._revocations, f"{kind}:{credential_id}", now.astimezone(UTC).isoformat())
            changes.incr(self._version)
            await changes.execute()


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
