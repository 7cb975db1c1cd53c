"""Requests to the flag routes as hypothesis makes them: right, nearly right, and hostile."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.flags.documents_given import conditions, flag_documents
from tests.ingest_api.flags.conftest import APPLY, EVALUATE, FLAGS, SEGMENTS

KEYS = ("g0", "g1", "g2", "absent")
HOSTILE: list[Any] = [
    None, True, -1, 2**53 + 1, 10**400, 1e308, -0.0, "", "\ud800", "\x00", "x" * 300, "(a+)+$", "\u202e", [], {}, [[]],
    {"$not": {}}, {"$or": []}, {"$regex": "(x+x+)+y"}, {"": 0}, {"__proto__": 1}, "9999-12-31T23:59:59+14:00",
    "0001-01-01",
]  # fmt: skip
NAMES = [
    "key", "name", "type", "value", "defaultValue", "rolloutPercentage", "conditions", "variants", "rules", "tags",
    "prerequisites", "schedule", "owner", "hashAttribute", "isEnabled", "version", "createdAt", "createdBy", "colour",
]  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    body: bytes | None = None
    query: dict[str, str] = field(default_factory=dict)


def json_values() -> st.SearchStrategy[Any]:
    leaves = (
        st.sampled_from(HOSTILE)
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=9)
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=6,
    )


@st.composite
def bent(draw: st.DrawFn, documents: st.SearchStrategy[dict[str, Any]]) -> Any:
    """A document, often with a member somewhere replaced."""
    document = json.loads(json.dumps(draw(documents)))
    for _ in range(draw(st.integers(0, 2))):
        node = document
        while True:
            if isinstance(node, dict) and node:
                place: Any = draw(st.sampled_from(sorted(node)))
            elif isinstance(node, list) and node:
                place = draw(st.integers(0, len(node) - 1))
            else:
                break
            if draw(st.booleans()):
                node[place] = draw(json_values())
                break
            node = node[place]
        if isinstance(document, dict) and draw(st.booleans()):
            document[draw(st.sampled_from(NAMES))] = draw(json_values())
    return document


def segments() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda key, name, found: {"key": key, "name": name, "conditions": found},
        st.sampled_from(["americans", "beta"]),
        st.text(max_size=5),
        conditions(),
    )


def bundles() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "flags": st.lists(bent(flag_documents()), max_size=3),
            "segments": st.lists(bent(segments()), max_size=2),
        },
    )


def patches() -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(NAMES), json_values(), max_size=3)


def users() -> st.SearchStrategy[dict[str, Any]]:
    attributes = st.dictionaries(
        st.sampled_from(["country", "plan", "age", "tags", "id"]) | st.text(max_size=4), json_values()
    )
    return st.fixed_dictionaries({}, optional={"userId": json_values(), "attributes": attributes | json_values()})


@st.composite
def calls(draw: st.DrawFn) -> Call:
    key = draw(st.sampled_from(KEYS) | st.sampled_from(["%00", "%ff", "a%2Fb", "stale", "ä", "x" * 300]))
    flag, segment = f"{FLAGS}/{key}", f"{SEGMENTS}/{draw(st.sampled_from(['americans', 'beta', 'absent']))}"
    reverts = st.fixed_dictionaries(
        {"toVersion": st.integers(-1, 9) | json_values()}, optional={"comment": json_values()}
    )
    schedules = st.fixed_dictionaries(
        {"dueAt": st.just("2100-01-01T00:00:00Z") | json_values(), "patch": patches() | json_values()}
    )
    method, path, body = draw(
        st.sampled_from(
            [
                ("POST", FLAGS, bent(flag_documents())),
                ("POST", FLAGS, bent(flag_documents())),
                ("POST", SEGMENTS, bent(segments())),
                ("PUT", flag, bent(flag_documents())),
                ("PATCH", flag, patches()),
                ("PATCH", flag, bent(flag_documents())),
                ("PATCH", segment, patches()),
                ("DELETE", flag, None),
                ("DELETE", segment, None),
                ("POST", APPLY, bundles()),
                ("POST", f"{flag}/revert", reverts),
                ("POST", f"{segment}/revert", reverts),
                ("POST", f"{flag}/scheduled-changes", schedules),
                ("POST", f"{flag}/explain", users()),
                ("POST", f"{flag}/evaluate", users()),
                ("POST", EVALUATE, users()),
                ("GET", f"{flag}/history", None),
                ("GET", FLAGS, None),
            ]
        )
    )
    values = st.sampled_from(["", "0", "1", "true", "-1", "\x00", "ä", "x" * 2000, "eyJ9", "AA=="])
    names = st.sampled_from(["version", "comment", "dryRun", "prune", "limit", "cursor", "tag", "text"])
    query = draw(st.dictionaries(names, values, max_size=2))
    if body is None:
        return Call(method, path, None, query)
    raw = draw(
        st.none() | st.sampled_from([b"", b"\xff", b"[" * 1200, b'{"value":' * 900, b"\x1f\x8b", b"NaN", b"1e999"])
    )
    document = draw(body) if raw is None else None
    # Written with escapes half of the time: half a surrogate pair can be said only so.
    content = raw if raw is not None else json.dumps(document, ensure_ascii=True).encode()
    return Call(method, path, content, query)
