"""Flags as a product has them, and the users that they are evaluated for."""

from collections.abc import Mapping
from typing import Any

COUNTRIES = ("US", "DE", "FR", "GB", "CA", "BR")
PLANS = ("premium", "pro", "team", "free")
_LANGUAGES = ("en", "de", "fr", "pt")


def user_of(index: int) -> dict[str, Any]:
    """A user; no two are alike."""
    return {
        "userId": f"user-{index:08d}-{index * 2_654_435_761 % 2**32:08x}",
        "attributes": {
            "country": COUNTRIES[index % 6],
            "plan": PLANS[index // 6 % 4],
            "language": _LANGUAGES[index % 4],
            "age": 18 + index % 60,
            "version": f"{1 + index % 3}.{index % 12}.0",
            "email": f"user{index}@{'example.com' if index % 10 else 'shop.example'}",
            "isMember": index % 3 == 0,
        },
    }


def targeted_rollouts(count: int) -> list[dict[str, Any]]:
    """Flags of the documented shape, two conditions and a rollout, each with other countries, plans and percentages.

    Half of the users fulfil both conditions.
    """
    return [targeted_rollout(f"feature_{one}", one) for one in range(count)]


def targeted_rollout(key: str, index: int) -> dict[str, Any]:
    """One such flag."""
    countries = [COUNTRIES[(index + one) % 6] for one in range(4)]
    plans = [PLANS[(index // 6 + one) % 4] for one in range(3)]
    return {
        "key": key,
        "name": key,
        "type": "boolean",
        "value": True,
        "conditions": [
            {"attribute": "country", "operator": "in", "value": countries},
            {"attribute": "plan", "operator": "in", "value": plans},
        ],
        "rolloutPercentage": 5 + index * 7 % 90,
    }


def mixed(count: int) -> list[dict[str, Any]]:
    """Flags of all kinds in turn."""
    return [_KINDS[one % len(_KINDS)](f"mixed_{one}", one) for one in range(count)]


def _switch(key: str, index: int) -> dict[str, Any]:
    return {"key": key, "value": True, "isEnabled": index % 4 != 0}


def _rollout(key: str, index: int) -> dict[str, Any]:
    return {"key": key, "value": True, "rolloutPercentage": index % 100}


def _variants(key: str, index: int) -> dict[str, Any]:
    variants = [{"key": name, "value": name, "weight": weight} for name, weight in (("a", 20), ("b", 30), ("c", 50))]
    return {"key": key, "type": "string", "defaultValue": "-", "variants": variants}


def _configuration(key: str, index: int) -> dict[str, Any]:
    limits = {"limits": {"uploads": index, "seats": 5}, "hosts": ["a.example", "b.example"]}
    return {
        "key": key,
        "type": "json",
        "value": limits,
        "defaultValue": {},
        "conditions": [{"attribute": "email", "operator": "ends_with", "value": "@example.com"}],
    }


def _rules(key: str, index: int) -> dict[str, Any]:
    rules = [
        {"force": 1, "conditions": [{"attribute": "isMember", "operator": "equals", "value": True}]},
        {"force": 2, "condition": {"version": {"$vgte": "2.0.0"}, "language": {"$in": ["en", "de"]}}},
        {"variations": [3, 4.5], "coverage": 0.5},
    ]
    return {"key": key, "type": "number", "defaultValue": 0, "rules": rules}


def _excluding(key: str, index: int) -> dict[str, Any]:
    low = 0 if index % 2 else 0.5
    rule = {"variations": ["control", "test"], "namespace": ["page", low, low + 0.5]}
    return {"key": key, "type": "string", "defaultValue": "-", "rules": [rule]}


def _dependent(key: str, index: int) -> dict[str, Any]:
    return {"key": key, "value": True, "prerequisites": [{"flag": f"mixed_{index - index % len(_KINDS)}"}]}


_KINDS = (targeted_rollout, _switch, _rollout, _variants, _configuration, _rules, _excluding, _dependent)


def bundle_of(flags: list[dict[str, Any]]) -> Mapping[str, Any]:
    """What `POST /api/feature-flags/apply` takes."""
    return {"segments": [], "flags": flags}
