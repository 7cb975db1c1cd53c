import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.events.enrichment.redaction import REDACTED, SECRET_ENDINGS, SECRET_NAMES, without_secrets


def _redacted(value: object, **json_form: Any) -> Any:
    return json.loads(without_secrets(json.dumps(value, **json_form).encode()))


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("https://a/?access_token=abc&x=1", "https://a/?access_token=REDACTED&x=1"),
        ("/a?x=1&resetToken=a.b-c_d~e#top", "/a?x=1&resetToken=REDACTED#top"),
        ("#/access_token=abc&state=1", "#/access_token=REDACTED&state=1"),
        ("?code=abc;y=1", "?code=REDACTED;y=1"),
        ("?code=a+b/c==&scope=x y", "?code=REDACTED&scope=x y"),
        ("token=abc", "token=REDACTED"),
        ("?TOKEN=\u00fc\U0001f600&y=1", "?TOKEN=REDACTED&y=1"),
        ("/a;jsessionid=AB12?x=1", "/a;jsessionid=REDACTED"),
        ("?user[password]=abc&x=1", "?user[password]=REDACTED&x=1"),
        ("?user%5Bpassword%5D=abc&x=1", "?user%5Bpassword%5D=REDACTED&x=1"),
        ("?token=abc%26def&x=1", "?token=REDACTED&x=1"),
        ("?next=%2Fcb%3Ftoken%3Dabc%26x%3D1&y=2", "?next=%2Fcb%3Ftoken%3DREDACTED%26x%3D1&y=2"),
        ("?next=%2fcb%3fcode%3dabc", "?next=%2fcb%3fcode%3dREDACTED"),
        ("?n=%252Fcb%253Ftoken%253Dabc%2526x%253D1&y=2", "?n=%252Fcb%253Ftoken%253DREDACTED%2526x%253D1&y=2"),
        ("?X-Amz-Signature=0a1b&X-Amz-Date=2", "?X-Amz-Signature=REDACTED&X-Amz-Date=2"),
        ("/cb?code=1 and then /cb?code=2", "/cb?code=REDACTED and then /cb?code=REDACTED"),
        *((f"/?{name}=v&x=1", f"/?{name}=REDACTED&x=1") for name in (*SECRET_ENDINGS, *SECRET_NAMES)),
    ],
)
@pytest.mark.parametrize("json_form", [{}, {"ensure_ascii": False}])
def test_secret_is_replaced_however_the_json_is_written(text: str, stored: str, json_form: dict[str, bool]) -> None:
    written = json.dumps({"url": text}, **json_form)
    forms = [
        written,
        written.replace("/", "\\/"),
        written.replace("&", "\\u0026").replace("=", "\\u003d").replace("#", "\\u0023"),
    ]

    found = [json.loads(without_secrets(form.encode())) for form in forms]

    assert found == [{"url": stored}] * len(forms)


def test_secret_is_replaced_in_json_inside_of_json() -> None:
    inner = json.dumps({"url": "/a?token=abc&x=1", "more": ["?code=x"]})

    stored = _redacted({"inner": inner})

    assert json.loads(stored["inner"]) == {"url": "/a?token=REDACTED&x=1", "more": ["?code=REDACTED"]}


@pytest.mark.parametrize(
    "text",
    [
        "/?promo_code=SAVE10&barcode=3",
        "/?encode=1&author=x&passage=2",
        "/?email=a@b.example&key=1&state=2",
        "/?token=&x=1",
        "/?token",
        "/?token=REDACTED",
        "a token = b",
        "/?q=%3D%26token",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert _redacted({"url": text}) == {"url": text}


_pieces = st.sampled_from(
    [
        *("token", "code", "user[password]", "x", "abc", "REDACTED", "u003d", "\\u003d", "\u00fc", "\U0001f600"),
        *("=", "%3D", "%3d", "%253D", "&", "%26", "%2526", "#", "?", ";", " ", '"', "\\", "/", "\n", "%", "]", "\x00"),
    ]
)
_texts = st.lists(_pieces, max_size=12).map("".join) | st.text(max_size=20)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=500)
@given(_values, st.booleans(), st.booleans())
def test_any_json_stays_json_and_differs_only_in_replaced_values(
    value: object, is_ascii: bool, is_slash_escaped: bool
) -> None:
    text = json.dumps({"p": value}, ensure_ascii=is_ascii)
    text = text.replace("/", "\\/") if is_slash_escaped else text

    stored = without_secrets(text.encode("utf-8", "surrogatepass"))

    json.loads(stored.decode("utf-8", "surrogatepass"))
    unchanged = [re.escape(part) for part in stored.decode("utf-8", "surrogatepass").split(REDACTED)]
    assert re.fullmatch('[^" ]*?'.join(unchanged), text, flags=re.DOTALL)
    assert without_secrets(stored) == stored


@pytest.mark.parametrize(
    "piece",
    [b"=", b"a=", b"%3d", b"%253d", b"token=", b"?code=x&", b"\\u003d", b"token=\\\\/", b"\\", b"%", b"token%3dx%26"],
)
def test_time_grows_no_faster_than_the_text(piece: bytes) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        durations = []
        for _ in range(3):
            started = time.process_time()
            without_secrets(text)
            durations.append(time.process_time() - started)
        return min(durations)

    assert seconds(200_000) < 100 * (seconds(10_000) + 0.0002)
