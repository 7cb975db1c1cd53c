"""Where a credential may stand in a request."""

import pytest

from ingest_api.auth.principals import credential_in
from ingest_api.errors import Unauthenticated


@pytest.mark.parametrize(
    ("headers", "query", "credential"),
    [
        pytest.param([(b"authorization", b"Bearer abc")], b"", "abc", id="bearer"),
        pytest.param([(b"authorization", b"bearer  abc ")], b"", "abc", id="any case, spaces"),
        pytest.param([(b"x-write-key", b"wk_1")], b"", "wk_1", id="header"),
        pytest.param([], b"a=b&writeKey=wk_1", "wk_1", id="query"),
        pytest.param([(b"authorization", b"Bearer abc"), (b"x-write-key", b"wk_1")], b"writeKey=wk_2", "abc", id="all"),
        pytest.param([(b"x-write-key", b"wk_1"), (b"authorization", b"Bearer abc")], b"", "abc", id="any order"),
    ],
)
def test_credential_is_found(headers: list[tuple[bytes, bytes]], query: bytes, credential: str) -> None:
    assert credential_in(headers, query) == credential


@pytest.mark.parametrize(
    ("headers", "query", "code"),
    [
        pytest.param([], b"", "unauthenticated", id="nothing"),
        pytest.param([(b"authorization", b"Basic abc")], b"writeKey=wk_1", "scheme_unsupported", id="another scheme"),
        pytest.param([(b"authorization", b"Bearer ")], b"writeKey=wk_1", "token_invalid", id="empty"),
        pytest.param([(b"authorization", b"Bearer " + b"x" * 5000)], b"", "token_invalid", id="too long"),
        pytest.param([(b"authorization", b"Bearer \xff")], b"", "token_invalid", id="not ASCII"),
        pytest.param([(b"x-write-key", b"eyJ.a.b")], b"", "write_key_invalid", id="token as write key"),
        pytest.param([], b"writeKey=eyJ.a.b", "write_key_invalid", id="token in the address"),
        pytest.param([], b"writeKey=", "token_invalid", id="empty query"),
    ],
)
def test_credential_is_refused(headers: list[tuple[bytes, bytes]], query: bytes, code: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        credential_in(headers, query)

    assert refused.value.code == code
