"""Flags of every type and every kind of rule, and the segments that they refer to."""

from flags.codec import decode_flag
from flags.model import Flag
from tests.flags.flags_given import CUSTOMERS_FLAG, flag, segment

SEGMENTS = (
    segment("americans", {"attribute": "country", "operator": "in", "value": ["US", "CA"]}),
    segment(
        "beta", {"tags": {"$elemMatch": {"$eq": "beta"}}}, {"attribute": "isMember", "operator": "eq", "value": True}
    ),
)
PAYING = {"attribute": "plan", "operator": "in", "value": ["premium", "pro"]}
ADULT = {"attribute": "age", "operator": "gte", "value": 18}
COLORS = {"variations": ["red", "green", "blue"], "weights": [20, 30, 50]}


def every_flag() -> list[Flag]:
    """Flags of every type and every kind of rule."""
    return [
        decode_flag(CUSTOMERS_FLAG),
        flag("static", type="string", value="x", defaultValue="y"),
        flag("off", isEnabled=False, defaultValue=False),
        flag("targeted", conditions=[PAYING, ADULT], rolloutPercentage=40),
        flag("nobody", rolloutPercentage=0),
        flag("odd", rolloutPercentage=12.34),
        flag("json", type="json", value={"a": [1, None]}, defaultValue={"a": []}, conditions=[{"country": "US"}]),
        flag("number", type="number", value=2.5, defaultValue=0, conditions=[{"age": {"$lt": 18}}]),
        flag("variants", type="string", rolloutPercentage=80, variants=[
            {"key": "control", "value": "c", "weight": 1}, {"key": "test", "value": "t", "weight": 2},
        ]),
        flag("rules", type="string", defaultValue="none", rules=[
            {"force": "member", "segments": ["beta"]},
            {"force": "american", "segments": ["americans"], "coverage": 0.5, "seed": "shared"},
            {"force": "off", "isEnabled": False},
            COLORS,
        ]),
        flag("companies", type="number", defaultValue=-1, hashAttribute="company", rules=[
            {"variations": [0, 1], "coverage": 0.7, "hashVersion": 1}, {"force": 2},
        ]),
        flag("first", type="string", defaultValue="-", rules=[{**COLORS, "namespace": ["space", 0.1, 0.5]}]),
        flag("second", type="string", defaultValue="-", rules=[{**COLORS, "namespace": ["space", 0.5, 1]}]),
        flag("held-out", rules=[{"force": True, "namespace": ["space", 0, 0.1]}]),
        flag("needs", prerequisites=[{"flag": "targeted"}], rolloutPercentage=50),
        flag("needs-value", type="string", defaultValue="no", rules=[
            {"force": "red!", "prerequisites": [{"flag": "first", "condition": {"$in": ["red", "green"]}}]},
            {"force": "low", "prerequisites": [{"flag": "companies", "condition": {"value": {"$lt": 1}}}]},
        ]),
        flag("needs-off", value=True, prerequisites=[{"flag": "off"}]),
        flag("needs-null", type="string", value="v", prerequisites=[{"flag": "nothing", "condition": {"$lt": 1}}]),
        flag("nothing", type="string", value="v", rolloutPercentage=30),
        flag("sticky", type="string", defaultValue="-", rules=[{**COLORS, "sticky": True}]),
        flag("scheduled", type="string", defaultValue="-", rules=[
            {"force": "past", "schedule": {"validUntil": "2026-01-01T00:00:00Z"}},
            {"force": "now", "validFrom": "2026-05-01T00:00:00Z", "validUntil": "2026-07-01T00:00:00Z"},
            {"force": "future", "schedule": {"from": "2027-01-01T00:00:00Z"}},
        ]),
        flag("ended", schedule={"validUntil": "2026-01-01T00:00:00Z"}),
        flag("operators", type="string", defaultValue="none", rules=[
            {"force": operator, "coverage": 0.9, "seed": operator, "conditions": [
                {"attribute": attribute, "operator": operator, "value": value},
            ]}
            for attribute, operator, value in OPERATORS
        ] + [{"force": str(index), "condition": one} for index, one in enumerate(CONDITIONS)]),
    ]  # fmt: skip


OPERATORS = [
    ("email", "ends_with", "@example.com"), ("email", "starts_with", "eve@"), ("tags", "contains", "beta"),
    ("email", "contains", "EXAMPLE"), ("version", "version_less_than", "1.10"), ("version", "matches", "^v?2\\.0"),
    ("signedUpAt", "before", "2026-01-01T00:00:00Z"), ("age", "less_than", 18), ("userId", "equals", "user-7"),
    ("plan", "not_in", ["free"]), ("plan", "exists", None), ("address.city", "not_equals", "Berlin"),
    ("tags", "not_contains", "a"), ("isMember", "not_equals", True),
]  # fmt: skip
CONDITIONS = [
    {"$or": [{"age": {"$gte": 40}}, {"country": {"$ini": ["us"]}}]},
    {"age": {"$not": {"$lt": 18}}},
    {"address.floors.0": 1, "$not": {"plan": "pro"}},
    {"age": {"$lte": 0}},
    {"version": {"$vgt": "1.0", "$vlte": "2.0.0-beta.1"}},
    {"userId": {"$regex": "^user-[0-4]"}},
    {"tags": {"$size": {"$gt": 1}}},
    {"tags": {"$all": ["b"]}, "isMember": {"$type": "boolean"}},
    {"$nor": [{"age": {"$gt": 10}}, {"email": {"$exists": False}}]},
]
