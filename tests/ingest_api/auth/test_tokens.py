"""Which tokens are believed."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from ingest_api.auth.roles import Role
from ingest_api.auth.tokens import new_claims, sign, verify
from ingest_api.errors import Unauthenticated

SECRET = SecretStr("s" * 32)


def payload(**changes: Any) -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp())
    good = {"iss": "analytics", "sub": "alice", "role": "viewer", "jti": "1", "iat": now, "exp": now + 86_400}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(secret: str = SECRET.get_secret_value(), algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(payload(**changes), secret, algorithm=algorithm)


def unsigned(**header: str) -> str:
    parts = ({"typ": "JWT", **header}, payload(role="admin"))
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def test_token_says_what_was_signed() -> None:
    claims = new_claims("alice", Role.ANALYST, timedelta(days=1), datetime.now(UTC))

    found = verify(sign(claims, SECRET), SECRET)

    assert found == claims


def test_token_is_refused_when_expired() -> None:
    token = sign(
        new_claims("alice", Role.ADMIN, timedelta(seconds=1), datetime.now(UTC) - timedelta(minutes=1)), SECRET
    )

    with pytest.raises(Unauthenticated) as refused:
        verify(token, SECRET)

    assert refused.value.code == "token_expired"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(secret="x" * 32), id="another secret"),
        pytest.param(unsigned(alg="none"), id="alg none"),
        pytest.param(unsigned(alg="HS256"), id="no signature"),
        pytest.param(signed(secret=SECRET.get_secret_value() * 2, algorithm="HS512"), id="another algorithm"),
        pytest.param(signed(exp=None), id="no expiry"),
        pytest.param(signed(jti=None), id="no id"),
        pytest.param(signed(iss="someone else"), id="another issuer"),
        pytest.param(signed(role="owner"), id="unknown role"),
        pytest.param(signed(exp=10**18), id="expiry beyond the calendar"),
        pytest.param(signed(sub=7), id="subject is no text"),
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="no JSON"),
        pytest.param("wk", id="no dots"),
    ],
)
def test_token_is_refused_when_this_server_did_not_issue_it(token: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verify(token, SECRET)

    assert refused.value.code == "token_invalid"
    assert refused.value.headers()["www-authenticate"].startswith('Bearer realm="analytics", error="invalid_token"')


def test_token_is_refused_when_one_character_of_it_changed() -> None:
    header, body, signature = signed().split(".")
    richer = base64.urlsafe_b64encode(json.dumps(payload(role="admin")).encode()).rstrip(b"=").decode()

    with pytest.raises(Unauthenticated):
        verify(f"{header}.{richer}.{signature}", SECRET)

    assert verify(f"{header}.{body}.{signature}", SECRET).role is Role.VIEWER
