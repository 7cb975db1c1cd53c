"""Whether an experiment is meant for a page, and where a redirect leads: the specification's URL targeting."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

import re2

from flags.operators import compile_regex

_ANYTHING = "_____"
"""Stands for `*` while a pattern is read as a URL."""
_HOST_WITHOUT_SCHEME = re.compile(r"^([^:/?]*)\.")
_SCHEME = re.compile(r"^https?://")
_HOST = re.compile(r"^[^/]*/")


def is_url_targeted(url: str, targets: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a page is targeted: by one pattern that includes it, or as there is none, and by none that excludes it.

    A target is `{"type": "simple" | "regex", "pattern": str, "include": bool}`. `*` in a simple pattern stands for
    anything; its query and fragment only count where it has some.
    """
    if not targets:
        return False
    including = [one for one in targets if one.get("include") is not False]
    if any(_matches(url, one) for one in targets if one.get("include") is False):
        return False
    return not including or any(_matches(url, one) for one in including)


def is_old_target(url: str, pattern: str) -> bool:
    """Whether a regular expression is found in the URL or in its path: the `url` of old experiments."""
    if not url:
        return False
    try:
        search = compile_regex(pattern).search
        return bool(search(url) or search(_HOST.sub("/", _SCHEME.sub("", url))))
    except (re2.error, UnicodeEncodeError):
        return True


def redirected(current: str, target: str) -> str:
    """The URL of a redirect, with the parameters of the current one that it has not itself."""
    parts = _split(target)
    own = parse_qsl(parts.query, keep_blank_values=True)
    names = {name for name, _ in own}
    carried = [one for one in parse_qsl(_split(current).query, keep_blank_values=True) if one[0] not in names]
    return urlunsplit(parts._replace(path=parts.path or "/", query=urlencode(own + carried)))


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.netloc or not url:
        return parts
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    return parts._replace(scheme="https", netloc="_", path=path)


def _matches(url: str, target: Mapping[str, Any]) -> bool:
    pattern = target.get("pattern")
    if not isinstance(pattern, str):
        return False
    try:
        parts = _split(url)
        if target.get("type") == "simple":
            return _matches_simple(parts, pattern)
        if target.get("type") == "regex":
            search = compile_regex(pattern).search
            whole = urlunsplit(parts._replace(path=parts.path or "/"))
            return bool(search(whole) or search(urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment))))
    except (re2.error, ValueError):
        return False
    return False


def _matches_simple(actual: SplitResult, pattern: str) -> bool:
    text = _HOST_WITHOUT_SCHEME.sub(r"https://\1.", pattern, count=1).replace("*", _ANYTHING)
    expected = urlsplit(text)
    if not expected.netloc:
        path = expected.path if expected.path.startswith("/") else f"/{expected.path}"
        expected = expected._replace(netloc=_ANYTHING, path=path)
    pairs = [(actual.netloc, expected.netloc, False), (actual.path or "/", expected.path or "/", True)]
    if expected.fragment:
        pairs.append((actual.fragment, expected.fragment, False))
    given: dict[str, str] = {}
    for name, value in parse_qsl(actual.query, keep_blank_values=True):
        given.setdefault(name, value)
    for name, value in parse_qsl(expected.query, keep_blank_values=True):
        pairs.append((given.get(name, ""), value, False))
    return all(_matches_part(one, other, is_path) for one, other, is_path in pairs)


def _matches_part(actual: str, pattern: str, is_path: bool) -> bool:
    escaped = re2.escape(pattern.strip("/") if is_path else pattern).replace(_ANYTHING, ".*")
    around = "/?" if is_path else ""
    return compile_regex(f"^{around}{escaped}{around}$", ignores_case=True).search(actual) is not None
