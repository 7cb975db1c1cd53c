"""Documents of flags as hypothesis makes them: mostly right, so that much of them is accepted."""

from typing import Any

from hypothesis import strategies as st

from flags.targeting import OPERATORS

ATTRIBUTES = st.sampled_from(
    ["country", "plan", "age", "isMember", "tags", "address.city", "email", "userId", "version"]
)
SCALARS = st.sampled_from(["US", "pro", "premium", "a", "1.10.0", "user-1", "", 17, 18, 18.5, 0, -1, True, False])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "string": st.sampled_from(["a", "b", ""]),
    "number": st.sampled_from([0, 1, 2.5, -3]),
    "json": st.sampled_from([{}, [], {"a": [1, None]}, "a", 1, True]),
}
LISTS = st.lists(SCALARS, max_size=3)


def short_conditions() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"attribute": ATTRIBUTES, "operator": st.sampled_from(list(OPERATORS))},
        optional={"value": SCALARS | LISTS | st.sampled_from(["^U", "a|b"])},
    )


def specification_conditions() -> st.SearchStrategy[dict[str, Any]]:
    operators = st.fixed_dictionaries(
        {},
        optional={
            "$eq": SCALARS,
            "$ne": SCALARS,
            "$in": LISTS,
            "$nini": LISTS,
            "$exists": st.booleans(),
            "$regex": st.sampled_from(["U", "^p", "[0-9]$"]),
            "$elemMatch": st.fixed_dictionaries({"$in": LISTS}),
            "$vgte": st.sampled_from(["1.9", "2.0.0"]),
            "$size": st.integers(0, 2),
            "$lt": SCALARS,
            "$gte": SCALARS,
            "$type": st.sampled_from(["number", "string"]),
            "$not": st.fixed_dictionaries({"$gt": st.sampled_from([0, 18, "pro"])}),
        },
    )
    fields = st.dictionaries(ATTRIBUTES, SCALARS | operators, max_size=2)
    return st.recursive(
        fields,
        lambda inner: (
            st.fixed_dictionaries({"$or": st.lists(inner, max_size=2)})
            | st.fixed_dictionaries({"$not": inner})
            | st.fixed_dictionaries({"$and": st.lists(inner, max_size=2), "country": SCALARS})
        ),
        max_leaves=4,
    )


def conditions() -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(short_conditions() | specification_conditions(), max_size=2)


def rules(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    value = VALUES[kind]
    decision = st.fixed_dictionaries({"force": value}) | st.fixed_dictionaries(
        {"variations": st.lists(value, min_size=2, max_size=2)}, optional={"weights": st.just([1, 3])}
    )
    rest = st.fixed_dictionaries(
        {},
        optional={
            "conditions": conditions(),
            "segments": st.lists(st.sampled_from(["americans", "beta", "absent"]), max_size=2),
            "coverage": st.sampled_from([0, 0.3, 0.5, 1]),
            "namespace": st.sampled_from([["n", 0, 0.5], ["n", 0.5, 1]]),
            "hashAttribute": st.sampled_from(["id", "company", "userId"]),
            "hashVersion": st.sampled_from([1, 2]),
            "seed": st.sampled_from(["s", "t"]),
            "prerequisites": st.lists(prerequisites(), max_size=1),
            "isEnabled": st.booleans(),
            "validFrom": st.sampled_from(["2026-01-01T00:00:00Z", "2027-01-01T00:00:00+02:00"]),
        },
    )
    return st.builds(lambda one, other: {**one, **other}, decision, rest)


def prerequisites() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"flag": st.sampled_from(["g0", "absent"])},
        optional={"condition": st.sampled_from([{"$in": ["a", 1, True]}, {"value": {"$lt": 2}}, {"value": None}])},
    )


@st.composite
def flag_documents(draw: st.DrawFn) -> dict[str, Any]:
    """The first key is needed by others, and needs none itself: cycles have tests of their own."""
    key, kind = draw(st.sampled_from(["g0", "g1", "g2"])), draw(st.sampled_from(list(VALUES)))
    document = {"key": key, "type": kind, "value": draw(VALUES[kind])}
    if draw(st.booleans()):
        document["defaultValue"] = draw(VALUES[kind])
    if draw(st.booleans()):
        document["rules"] = draw(st.lists(rules(kind), max_size=3))
    else:
        document["conditions"] = draw(conditions())
        document["rolloutPercentage"] = draw(st.sampled_from([0, 25, 99.9, 100]))
        if draw(st.booleans()):
            document["variants"] = [
                {"key": "x", "value": draw(VALUES[kind])},
                {"key": "y", "value": draw(VALUES[kind])},
            ]
    if key != "g0":
        document["prerequisites"] = draw(st.lists(prerequisites(), max_size=1))
    else:
        for rule in document.get("rules", []):
            rule.pop("prerequisites", None)
    return document
