"""The demo's numbers: what the API reads from the marts, beside what the shop knows that it sent."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from local_stack.demo_data import CURRENCY
from local_stack.demo_totals import ShopTotals
from local_stack.state_directory import Access


class NumbersDiffer(RuntimeError):
    """The marts disagree with the events that were sent."""


@dataclass(frozen=True, slots=True)
class Headline:
    """One line of the table."""

    name: str
    expected: int | Decimal | float
    found: int | Decimal | float

    @property
    def is_equal(self) -> bool:
        """Whether the marts agree."""
        return self.expected == self.found


def read_headlines(totals: ShopTotals, first_day: date, last_day: date, access: Access) -> list[Headline]:
    """Read both BI reports of the API for these days (inclusive) and put each number beside the expected one."""
    performance = _report(access, "performance", first_day, last_day)["totals"]
    currencies = _report(access, "revenue", first_day, last_day)["currencies"]
    revenue: dict[str, Any] = next((entry["totals"] for entry in currencies if entry["currency"] == CURRENCY), {})

    def count(name: str) -> int:
        return int(performance[name]["value"] or 0)

    def amount(name: str) -> Decimal:
        return Decimal(revenue[name]["value"]) if revenue else Decimal(0)

    return [
        Headline("Events", totals.events, count("events")),
        Headline("Visitors", totals.visitors, count("visitors")),
        Headline("Sessions", totals.sessions, count("sessions")),
        Headline("Orders", totals.orders, revenue["orders"]["value"] if revenue else 0),
        Headline(f"Gross revenue ({CURRENCY})", totals.gross_revenue, amount("grossRevenue")),
        Headline(f"Refunds ({CURRENCY})", totals.refunds, amount("refunds")),
        Headline(f"Net revenue ({CURRENCY})", totals.net_revenue, amount("netRevenue")),
        Headline("Conversion rate", round(totals.conversion_rate, 6), performance["conversionRate"]["value"] or 0.0),
    ]


def print_headlines(headlines: list[Headline], title: str, console: Console, *, is_alone: bool) -> None:
    """Print the table.

    `is_alone` says that nothing but the demo has sent events, so that each number must be exactly the expected one.

    Raises:
        NumbersDiffer: one is not.
    """
    table = Table(title=title)
    table.add_column("")
    table.add_column("sent by the shop", justify="right")
    table.add_column("found in the marts", justify="right")
    table.add_column("")
    for line in headlines:
        verdict = "[green]equal[/]" if line.is_equal else "[red]differs[/]" if is_alone else ""
        table.add_row(line.name, number_text(line.expected), number_text(line.found), verdict)
    console.print(table)
    if not is_alone:
        console.print("The warehouse also holds events of other senders, so its numbers may be larger.")
    elif wrong := [line.name for line in headlines if not line.is_equal]:
        raise NumbersDiffer(f"The marts differ from what was sent: {', '.join(wrong)}.")


def number_text(number: int | Decimal | float) -> str:
    """Return a number as people read it: counts in thousands, money with cents, rates in percent."""
    if isinstance(number, float):
        return f"{number:.2%}"
    return f"{number:,.2f}" if isinstance(number, Decimal) else f"{number:,}"


def _report(access: Access, name: str, first_day: date, last_day: date) -> dict[str, Any]:
    answer = httpx.get(
        f"{access.api_url}/api/dashboard/bi/{name}",
        params={"startDate": first_day.isoformat(), "endDate": last_day.isoformat()},
        headers={"authorization": f"Bearer {access.token}"},
        timeout=60,
        trust_env=False,
    )
    answer.raise_for_status()
    report: dict[str, Any] = answer.json()
    return report
