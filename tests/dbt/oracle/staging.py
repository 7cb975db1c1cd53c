"""Which of the raw events count, each id once, and what they say."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.dbt.oracle.declared import Declared

NUMBER = re.compile(r"[-+]?[0-9]+([.][0-9]*)?([eE][-+]?[0-9]{1,2})?")
EARLIEST, LATEST_AHEAD = datetime(1971, 1, 1, tzinfo=UTC), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A row of raw.events, as far as the models read it."""

    event_id: str
    event_name: str
    event_type: str
    user_id: str
    anonymous_id: str
    session_id: str
    occurred_at: datetime
    received_at: datetime
    inserted_at: datetime
    properties: str
    context: str
    source: str
    country: str
    device_type: str
    os_name: str
    browser_name: str
    is_bot: bool


@dataclass(frozen=True, slots=True)
class Event:
    """An event that counts. Its visitor is the sender until it is known who that is."""

    event_id: str
    event_name: str
    event_type: str
    visitor_id: str
    user_id: str
    anonymous_id: str
    previous_id: str
    client_session_id: str
    occurred_at: datetime
    source: str
    country: str
    device_type: str
    os_name: str
    browser_name: str
    page: str
    referrer_host: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    click_id: str
    revenue_kind: str
    amount: Decimal
    tax: Decimal
    shipping: Decimal
    currency: str
    order_id: str
    product_id: str
    quantity: Decimal
    properties: Mapping[str, Any]

    @property
    def day(self) -> date:
        return self.occurred_at.date()

    @property
    def order(self) -> tuple[datetime, str]:
        return self.occurred_at, self.event_id

    @property
    def is_known(self) -> bool:
        """Anonymous events of a person that is known by now belong to the user as well."""
        return self.user_id != "" or self.anonymous_id != self.visitor_id

    def session_gap(self, declared: Declared) -> timedelta:
        name = "client_session_gap_seconds" if self.client_session_id else "session_gap_seconds"
        return timedelta(seconds=declared.variables[name])


def counted_events(raw: Iterable[RawEvent], declared: Declared) -> list[Event]:
    """The first arrival of each id, without bots and the service's own probes."""
    firsts: dict[str, RawEvent] = {}
    for one in raw:
        known = firsts.setdefault(one.event_id, one)
        if (one.inserted_at, one.received_at) < (known.inserted_at, known.received_at):
            firsts[one.event_id] = one
    synthetic = declared.variables["synthetic_events"]
    return [staged(one, declared) for one in firsts.values() if not one.is_bot and one.event_name not in synthetic]


def staged(raw: RawEvent, declared: Declared) -> Event:
    """What an event says about itself."""
    variables = declared.variables
    # Numbers as the text that they are.
    said = json.loads(raw.properties, parse_float=str, parse_int=str)
    address = urlsplit(_first_text(said, "url", "page"))
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    referrer = host(_first_text(said, "referrer"))
    kind = {
        **dict.fromkeys(variables["sale_events"], "sale"),
        **dict.fromkeys(variables["refund_events"], "refund"),
    }.get(raw.event_name, "")
    is_alias = raw.event_name in variables["alias_events"]
    is_right_clock = EARLIEST <= raw.occurred_at <= raw.received_at + LATEST_AHEAD
    return Event(
        event_id=raw.event_id,
        event_name=raw.event_name,
        event_type=raw.event_type,
        visitor_id=raw.user_id or raw.anonymous_id,
        user_id=raw.user_id,
        anonymous_id=raw.anonymous_id,
        previous_id=_first_text(said, "previousId", "alias") if is_alias else "",
        client_session_id=raw.session_id,
        occurred_at=raw.occurred_at if is_right_clock else raw.received_at,
        source=raw.source,
        **_device(raw),
        page=address.path,
        referrer_host="" if site(referrer) == site(host(address.geturl())) else referrer,
        utm_source=_first_text(said, "utm_source") or query.get("utm_source", ""),
        utm_medium=_first_text(said, "utm_medium") or query.get("utm_medium", ""),
        utm_campaign=_first_text(said, "utm_campaign") or query.get("utm_campaign", ""),
        click_id=next((name for name in variables["click_ids"] if name in query), ""),
        revenue_kind=kind,
        amount=amount(said, "revenue"),
        tax=amount(said, "tax"),
        shipping=amount(said, "shipping"),
        currency=(_first_text(said, "currency").strip().upper() or variables["default_currency"]) if kind else "",
        order_id=_first_text(said, "order_id") or (raw.event_id if kind else ""),
        product_id=_first_text(said, "product_id"),
        quantity=amount(said, "quantity"),
        properties=said,
    )


def amount(said: Mapping[str, Any], name: str) -> Decimal:
    """A number with four decimals, rounded half away from zero; what is none counts as 0."""
    text = _first_text(said, name)
    return Decimal(text).quantize(Decimal("0.0001"), ROUND_HALF_UP) if NUMBER.fullmatch(text) else Decimal(0)


def host(address: str) -> str:
    return (urlsplit(address).hostname or "").removeprefix("www.")


def site(name: str) -> str:
    """shop.example and www.shop.example are one; enough for hosts without a second-level suffix like co.uk."""
    return ".".join(name.split(".")[-2:])


def _device(raw: RawEvent) -> dict[str, str]:
    """A program that is no browser speaks for others: its context counts more than what it is itself."""
    said = json.loads(raw.context)
    is_program = raw.device_type in ("", "other")
    columns = {
        "country": (raw.country, said.get("country", "")),
        "device_type": (raw.device_type, said.get("device", "")),
        "os_name": (raw.os_name, said.get("os", {}).get("name", "")),
        "browser_name": (raw.browser_name, said.get("browser", "")),
    }
    return {name: (told or own) if is_program else (own or told) for name, (own, told) in columns.items()}


def _first_text(said: Mapping[str, Any], *names: str) -> str:
    return next((said[name] for name in names if said.get(name)), "")
