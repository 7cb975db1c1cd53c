"""Who is asking: finds the credential in a request and turns it into a `Principal`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qs

from pydantic import SecretStr

from ingest_api.auth import tokens, write_keys
from ingest_api.auth.access_list import STALE_SECONDS, AccessList
from ingest_api.auth.access_store import AccessSnapshot
from ingest_api.auth.roles import PERMISSIONS_OF, WRITE_KEY_PERMISSIONS, Permission, Role
from ingest_api.errors import PermissionMissing, Unauthenticated

TOKEN_SOURCE = "api"  # noqa: S105 - the name of a source, not a secret
_LONGEST_CREDENTIAL = 4096
_KNOWN_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of one request."""

    kind: Literal["token", "write_key"]
    subject: str
    """The token's subject, or the write key's id."""
    role: Role | None
    source: str
    """What is stored as the source of the caller's events: the write key's, or `api` for a token."""
    permissions: frozenset[Permission]

    def require(self, permission: Permission) -> None:
        """Raise `PermissionMissing` when the caller may not do this."""
        if permission in self.permissions:
            return
        if self.kind == "write_key":
            raise PermissionMissing(
                f"This needs the permission {permission}; a write key can only send events and evaluate flags."
            )
        raise PermissionMissing(f"This needs the permission {permission}, which the role {self.role} does not have.")


def credential_in(headers: Iterable[tuple[bytes, bytes]], query_string: bytes = b"") -> str:
    """The credential of a request: `Authorization: Bearer`, else `X-Write-Key`, else `?writeKey=` (for `sendBeacon`).

    `X-API-Key`, as clients of OpenFeature may send it, is another name of `X-Write-Key`.

    Args:
        headers: as in an ASGI scope, names in lower case.
        query_string: raw, as in an ASGI scope. Only a write key may stand here: addresses end up in logs.

    Raises:
        Unauthenticated: there is none, or the header is not of a form that this server reads.
    """
    header_key = b""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, credential = value.partition(b" ")
            if scheme.lower() != b"bearer":
                raise Unauthenticated("Send `Authorization: Bearer <token or write key>`.", code="scheme_unsupported")
            return _text(credential.strip())
        if name in (b"x-write-key", b"x-api-key"):
            header_key = value
    if header_key:
        return _only_write_key(_text(header_key.strip()))
    if b"writeKey=" in query_string:
        found = parse_qs(query_string, keep_blank_values=True).get(b"writeKey", [b""])
        return _only_write_key(_text(found[0]))
    raise Unauthenticated("Send `Authorization: Bearer <token>`, or a write key in the header `X-Write-Key`.")


def _text(credential: bytes) -> str:
    if not credential or len(credential) > _LONGEST_CREDENTIAL or not credential.isascii():
        raise Unauthenticated("The credential is empty, too long or not ASCII.", code="token_invalid")
    return credential.decode("ascii")


def _only_write_key(credential: str) -> str:
    if not credential.startswith(write_keys.PREFIX):
        raise Unauthenticated(
            f"A write key begins with {write_keys.PREFIX}; a token belongs into the Authorization header.",
            code="write_key_invalid",
        )
    return credential


class Authenticator:
    """Judges credentials from memory; only a write key that this process has not seen yet asks Valkey."""

    def __init__(
        self, secret: SecretStr, access: AccessList, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._secret = secret
        self._access = access
        self._now = now
        # Verified tokens by their text: a signature need not be computed again for each request.
        self._verified: dict[str, tuple[tokens.TokenClaims, Principal]] = {}

    async def authenticate(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        query_string: bytes = b"",
        patience_seconds: float = STALE_SECONDS,
    ) -> Principal:
        """Who sent a request with these ASGI headers and this query string.

        Args:
            headers: names in lower case.
            query_string: raw.
            patience_seconds: for how long known credentials count without word from Valkey.

        Raises:
            Unauthenticated: no credential, or it is wrong, expired or revoked.
            AccessUnverifiable: whether it was revoked cannot be known now.
        """
        credential = credential_in(headers, query_string)
        if credential.startswith(write_keys.PREFIX):
            return await self.write_key_principal(credential, patience_seconds)
        return self._token_principal(credential, self._access.current(patience_seconds))

    async def write_key_principal(self, secret: str, patience_seconds: float = STALE_SECONDS) -> Principal:
        """Whose write key this is; for clients that send it as a part of the address. Errors as for `authenticate`."""
        digest = write_keys.digest_of(secret)
        snapshot = self._access.current(patience_seconds)
        if digest not in snapshot.keys_by_digest:
            snapshot = await self._access.newer()
        key = snapshot.keys_by_digest.get(digest)
        if key is None:
            raise Unauthenticated("The write key is not known here.", code="write_key_invalid")
        if snapshot.is_key_revoked(key.key_id):
            raise Unauthenticated("The write key was revoked.", code="write_key_revoked")
        return Principal("write_key", key.key_id, None, key.source, WRITE_KEY_PERMISSIONS)

    def _token_principal(self, token: str, snapshot: AccessSnapshot) -> Principal:
        known = self._verified.get(token)
        if known is None or known[0].expires_at <= self._now():
            claims = tokens.verify(token, self._secret)
            known = claims, Principal("token", claims.subject, claims.role, TOKEN_SOURCE, PERMISSIONS_OF[claims.role])
            if len(self._verified) >= _KNOWN_TOKENS:
                self._verified.clear()
            self._verified[token] = known
        if snapshot.is_token_revoked(known[0].token_id):
            raise Unauthenticated("The token was revoked.", code="token_revoked")
        return known[1]
