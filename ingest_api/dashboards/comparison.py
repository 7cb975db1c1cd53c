"""A number beside the number of the previous period, and the change between them."""

from collections.abc import Iterable
from decimal import Context, Decimal, localcontext
from typing import Annotated, Generic, Self, TypeVar

from pydantic import Field, PlainSerializer, WithJsonSchema

from ingest_api.camel_model import CamelModel

_MONEY_PLACES, _CENTS, _RATE_PLACES = Decimal("0.0001"), 2, 6

# The default of 28 digits is less than a Decimal(38, 4) holds: sums would be rounded.
_EXACT = Context(prec=76)


def money_text(amount: Decimal) -> str:
    """An amount as text: exact, at least two decimals, at most four (`12.50`, `0.0001`)."""
    whole, _, fraction = f"{amount:.4f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(_CENTS, '0')}"


Money = Annotated[
    Decimal,
    PlainSerializer(money_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+\.\d{2,4}$", "examples": ["1234.50"]}),
]
Number = Annotated[int | float, WithJsonSchema({"type": "number"})]
Value = TypeVar("Value", Decimal, int | float)


class Comparison(CamelModel, Generic[Value]):
    """A number of the period and of the one before; null where it is not defined, like an average of nothing."""

    value: Value | None
    previous: Value | None
    change: Value | None = Field(description="value - previous")
    change_rate: float | None = Field(description="change / |previous|, for example 0.25; null when previous is 0")

    @classmethod
    def of(cls, value: Value | None, previous: Value | None) -> Self:
        """Compare two numbers of one unit."""
        with localcontext(_EXACT):
            change = None if value is None or previous is None else value - previous
        return cls(
            value=value,
            previous=previous,
            change=change if not isinstance(change, float) else round(change, _RATE_PLACES),
            change_rate=None if change is None or not previous else round(float(change / abs(previous)), _RATE_PLACES),
        )


class MoneyComparison(Comparison[Money]):
    """Amounts as decimal text, all in the one currency that stands beside them."""


class NumberComparison(Comparison[Number]):
    """Counts, rates (0 to 1) or seconds."""


def ratio(numerator: Decimal | int, denominator: Decimal | int) -> float | None:
    """`numerator / denominator`, rounded to six places; None when there is nothing to divide by."""
    return round(float(Decimal(numerator) / Decimal(denominator)), _RATE_PLACES) if denominator else None


def money_ratio(numerator: Decimal, denominator: Decimal | int) -> Decimal | None:
    """An average amount, rounded to four places; None when there is nothing to divide by."""
    with localcontext(_EXACT):
        return (numerator / denominator).quantize(_MONEY_PLACES) if denominator else None


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum without rounding; 0 of nothing."""
    with localcontext(_EXACT):
        return sum(amounts, Decimal(0))
