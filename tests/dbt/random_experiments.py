"""Random experiments over one week, and what a few dozen persons did in it and before."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.dbt.plain_experiments import FLAG_EXPOSURE, FORMS, Deed

START = datetime(2026, 1, 28, tzinfo=UTC)
PERSONS = [f"p{number}" for number in range(24)]
LINKS = {"phone": "p0", "tablet": "p1", "kiosk": "kiosk"}
"""Whom a device belongs to, once the last batch has told."""
VARIANTS = ("control", "blue", "green")
METRIC_EVENTS = ("signup", "view", "purchase", "played")
USD_FOR_A_EURO = Decimal("1.10")
"""As in the seed currency_rates."""


def experiment(chance: random.Random, number: int) -> dict[str, Any]:
    """A document of an experiment that has ended, as the API stores it."""
    started = START + timedelta(days=chance.randint(1, 3), hours=chance.choice((0, 7)))
    ended = started + timedelta(days=chance.randint(1, 5), hours=chance.choice((0, 12)))
    variants = VARIANTS[: chance.choice((2, 3))]
    ramped = started + timedelta(hours=20)
    first_share = chance.choice((0.5, 0.9))
    return {
        "id": f"x{number}",
        "name": f"Experiment {number}",
        "status": "completed",
        "variants": [{"id": one, "name": one.title(), "isControl": one == "control"} for one in variants],
        "metrics": [_metric(chance, f"m{place}") for place in range(2)],
        "phases": [
            {
                "startedAt": _text(moment),
                "endedAt": None,
                "allocations": {
                    one: share if one == "control" else (1 - share) / (len(variants) - 1) for one in variants
                },
            }
            for moment, share in ((started, first_share), (ramped, 0.5))
        ],
        "segments": chance.choice(([], ["country"], ["country", "device_type"])),
        "flagKey": chance.choice((None, f"flag{number}")),
        "startedAt": _text(started),
        "endedAt": _text(ended),
        "version": 1,
    }


def _metric(chance: random.Random, metric_id: str) -> dict[str, Any]:
    kind = chance.choice(("conversion", "count", "revenue", "duration", "ratio"))
    event, prop = {
        "conversion": ("signup", None),
        "count": ("view", chance.choice((None, "pages"))),
        "revenue": ("purchase", None),
        "duration": ("played", "duration"),
        "ratio": ("purchase", chance.choice((None, "items"))),
    }[kind]
    caps = (None, None, {"type": "absolute", "value": 3.5}, {"type": "percentile", "value": 0.9})
    return {
        "id": metric_id,
        "name": metric_id,
        "type": kind,
        "aggregation": {"conversion": "rate", "ratio": "ratio"}.get(kind, "mean"),
        "isPrimary": metric_id == "m0",
        "role": "goal" if metric_id == "m0" else "secondary",
        "eventName": event,
        "property": prop,
        "windowHours": chance.choice((None, None, 24, 1.5)),
        "cap": chance.choice(caps) if kind in ("count", "revenue", "duration") else None,
        "direction": "increase",
        "nonInferiorityMargin": None,
        "denominator": {"eventName": "view", "property": chance.choice((None, "pages"))} if kind == "ratio" else None,
        "covariateDays": chance.choice((0, 1, 14)),
    }


def happen(chance: random.Random, number: int, experiments: list[dict[str, Any]]) -> tuple[Deed, str]:
    """A random event, and its sender: a person or a device. Many events have the same time to the second."""
    sender = chance.choice([*PERSONS, *LINKS])
    moment = START + timedelta(hours=chance.randrange(24 * 8), seconds=chance.choice((0, 0, 1)))
    chosen, amount = chance.choice(experiments), None
    name = chance.choice((*FORMS, FLAG_EXPOSURE, *METRIC_EVENTS, *METRIC_EVENTS))
    properties: dict[str, Any] = {}
    if name == FLAG_EXPOSURE:
        properties = {
            "$feature_flag": chance.choice((chosen["flagKey"] or "other", chosen["id"], "other")),
            "$feature_flag_variant": _variant(chance, sender, chosen),
            "$feature_flag_experiment": chance.choice((chosen["id"], "")),
        }
    elif name in FORMS:
        keys, variants = FORMS[name]
        properties = {chance.choice(keys): chosen["id"], chance.choice(variants): _variant(chance, sender, chosen)}
    elif name == "purchase":
        said, currency = chance.choice(("1.5", "19.9999", "2.25")), chance.choice(("USD", "EUR"))
        properties = {"revenue": said, "currency": currency, "items": chance.choice((1, 2, "3"))}
        amount = Decimal(said) * (USD_FOR_A_EURO if currency == "EUR" else 1)
        amount = amount.quantize(Decimal("0.0001"))
    elif name == "view":
        properties = {"pages": chance.choice((1, 2.5, -1, "many", 0.123456789))}
    elif name == "played":
        properties = {"duration": chance.choice((10, 12.25, 3600)), "note": 'a "duration" of nothing'}
    deed = Deed(
        event_id=f"e{number}",
        name=name,
        person=LINKS.get(sender, sender),
        occurred_at=moment,
        properties=properties,
        country=chance.choice(("DE", "US", "")),
        device_type=chance.choice(("mobile", "desktop")),
        amount=amount,
        is_bot=chance.random() < 0.03,
    )
    return deed, sender


def _variant(chance: random.Random, sender: str, chosen: dict[str, Any]) -> Any:
    """Mostly the same for a person, by id or by place; now and then another one, or one that nobody knows."""
    ids = [variant["id"] for variant in chosen["variants"]]
    mine = sum(map(ord, LINKS.get(sender, sender) + chosen["id"])) % len(ids)
    return chance.choices((ids[mine], str(mine), chance.choice(ids), "unheard-of", "false"), (60, 15, 10, 3, 2))[0]


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
