"""Signed tokens (JWT, HS256) for people and services."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from pydantic import SecretStr

from ingest_api.auth.roles import Role
from ingest_api.errors import Unauthenticated

ISSUER = "analytics"
_ALGORITHM = "HS256"
_LEEWAY = timedelta(seconds=5)
_REQUIRED = ["iss", "sub", "role", "jti", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token says; times are aware UTC, whole seconds."""

    token_id: str
    subject: str
    role: Role
    issued_at: datetime
    expires_at: datetime


def new_claims(subject: str, role: Role, lifetime: timedelta, now: datetime) -> TokenClaims:
    """Claims of a token to be issued; its random id is what `revoke` names."""
    issued_at = now.replace(microsecond=0)
    return TokenClaims(secrets.token_hex(8), subject, role, issued_at, issued_at + lifetime)


def sign(claims: TokenClaims, secret: SecretStr) -> str:
    """The token's text, to be sent as `Authorization: Bearer <token>`."""
    payload = {
        "iss": ISSUER,
        "sub": claims.subject,
        "role": claims.role.value,
        "jti": claims.token_id,
        "iat": claims.issued_at,
        "exp": claims.expires_at,
    }
    return jwt.encode(payload, secret.get_secret_value(), algorithm=_ALGORITHM)


def verify(token: str, secret: SecretStr) -> TokenClaims:
    """Check signature, issuer, expiry and claims; whether the token was revoked is `AccessList`'s to say.

    Raises:
        Unauthenticated: `token_expired` or `token_invalid`.
    """
    try:
        claims = jwt.decode(
            token,
            secret.get_secret_value(),
            algorithms=[_ALGORITHM],
            issuer=ISSUER,
            leeway=_LEEWAY,
            options={"require": _REQUIRED},
        )
        return TokenClaims(
            token_id=str(claims["jti"]),
            subject=str(claims["sub"]),
            role=Role(claims["role"]),
            issued_at=datetime.fromtimestamp(claims["iat"], UTC),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )
    except jwt.ExpiredSignatureError as error:
        raise Unauthenticated("The token has expired; issue a new one.", code="token_expired") from error
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, OSError) as error:
        raise Unauthenticated("The token is not one that this server issued.", code="token_invalid") from error
