"""Secrets in addresses of pages: the values of query parameters such as `access_token` are replaced before storing.

The JSON text is not decoded for that: without a secret it costs one search, and nothing else about it changes. Each
pattern begins with the separator of name and value and looks back at the name, because the search for one rare byte is
fast, and linear whatever is sent.
"""

import re
from collections import defaultdict

REDACTED = "REDACTED"

SECRET_ENDINGS = (
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "private_key",
    "authorization",
    "credential",
    "signature",
    "jwt",
    "sessionid",
    "session_id",
    "sessid",
)
"""A parameter whose name ends like this holds a secret: `access_token`, `resetToken`, `X-Amz-Signature`, `PHPSESSID`.

Not here are `state` and `nonce` (worthless afterwards), `key` (in addresses mostly a public one) and `email` (personal
data, to which the right answer is erasure, not a guess by name).
"""
SECRET_NAMES = ("auth", "code", "otp", "pass", "session", "sid", "sig", "ticket")
"""A parameter of exactly this name holds a secret; as endings these words are too common (`promo_code`)."""

# What stands before a parameter, in groups of one width: itself, as JSON's \u0026, percent-encoded, and that twice. The
# quote begins a text that is nothing but a query string, the slash stands in `#/access_token=`.
_BOUNDARIES = {1: '[?&#;"/[]', 6: r"\\u00(?:26|3f|23|3b)", 3: "%(?:26|3f|23|3b|5b)", 5: "%25(?:26|3f|23|3b|5b)"}
_ESCAPED_ENDS = "00(?:2[236]|3b)"


def _pattern(separator: str, brackets: tuple[str, ...], encoded_end: str) -> re.Pattern[bytes]:
    """The separator (group 1) behind a secret's name, and the secret.

    Args:
        separator: the equals sign as it is encoded.
        brackets: the closing bracket of `user[password]` as it may be encoded.
        encoded_end: what ends a value beside the plain characters, in the same encoding; it cannot match nothing.
    """
    by_width: dict[int, list[str]] = defaultdict(list)
    for name in SECRET_ENDINGS:
        by_width[len(name)].append(name)
    for name in SECRET_NAMES:
        for width, boundary in _BOUNDARIES.items():
            by_width[width + len(name)].append(boundary + name)
    behind_a_name = "|".join(
        f"(?<=(?:{_LAST_LETTERS}){between})(?:"
        + "|".join(f"(?<=(?:{'|'.join(names)}){between})" for names in by_width.values())
        + ")"
        for between in (separator, *(bracket + separator for bracket in brackets))
    )
    # JSON's escapes of letters and of the slash belong to a value; those of quotes, separators and space end it. More
    # than one backslash comes from JSON inside of JSON. Everything is possessive: nothing is tried twice.
    value = rf"""(?>(?!{encoded_end})[^"\\&#;\x00-\x20]|\\++(?:/|u(?!{_ESCAPED_ENDS})[0-9a-f]{{4}}))++"""
    return re.compile(f"({separator})(?:{behind_a_name}){value}".encode(), re.IGNORECASE)


_NAMES = (*SECRET_ENDINGS, *SECRET_NAMES)
_LAST_LETTERS = "|".join(sorted({name[-3:] for name in _NAMES}))
_PLAIN = _pattern("=", (r"\]", "%5d"), "&")
_ENCODED = _pattern("%3d", ("%5d",), "%(?:26|23|3b)")
_TWICE_ENCODED = _pattern("%253d", ("%255d",), "%(?:25)?(?:26|23|3b)")
_ESCAPED = _pattern(r"\\u003d", (r"\]", "%5d"), "&")
# Looking for bytes by their number, and for more than one with `find`: `b"=" in text` takes five times as long.
_EQUALS, _PERCENT, _BACKSLASH = b"=%\\"
_REPLACEMENT = rb"\1" + REDACTED.encode()

# Most events end here: no equals sign stands behind letters with which the name of a secret ends. For lower case.
_THIRD_LAST, _SECOND_LAST, _LAST = ("".join({name[place] for name in _NAMES}) for place in (-3, -2, -1))
_SUSPICION = re.compile(
    rf"=(?:(?<=[{_THIRD_LAST}][{_SECOND_LAST}][{_LAST}]=)(?<=(?:{_LAST_LETTERS})=)|(?<=\]=)|(?<=%5d=))".encode()
)


def without_secrets(text: bytes) -> bytes:
    """JSON text with the values of secret parameters replaced by `REDACTED`; equal to `text` when it has none.

    Found are parameters that stand as they are, percent-encoded (an address in a parameter of another), or that twice.
    """
    if _EQUALS in text and _SUSPICION.search(text.lower()):
        text = _PLAIN.sub(_REPLACEMENT, text)
    if _PERCENT in text and (lower := text.lower()).find(b"3d") >= 0:
        text = _ENCODED.sub(_REPLACEMENT, text) if lower.find(b"%3d") >= 0 else text
        text = _TWICE_ENCODED.sub(_REPLACEMENT, text) if lower.find(b"%253d") >= 0 else text
    if _BACKSLASH in text and text.lower().find(b"\\u003d") >= 0:
        text = _ESCAPED.sub(_REPLACEMENT, text)
    return text
