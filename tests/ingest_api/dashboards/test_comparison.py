"""The arithmetic of changes, and how amounts are written."""

from decimal import Decimal

import pytest

from ingest_api.dashboards.comparison import (
    MoneyComparison,
    NumberComparison,
    exact_sum,
    money_ratio,
    money_text,
    ratio,
)


@pytest.mark.parametrize(
    ("value", "previous", "change", "rate"),
    [
        (12, 8, 4, 0.5),
        (8, 12, -4, -0.333333),
        (5, 0, 5, None),
        (0, 0, 0, None),
        (0, 5, -5, -1.0),
        (0.3, 0.1, 0.2, 2.0),
        (None, 5, None, None),
        (5, None, None, None),
    ],
)
def test_change_of_numbers(
    value: float | None, previous: float | None, change: float | None, rate: float | None
) -> None:
    compared = NumberComparison.of(value, previous)

    assert (compared.change, compared.change_rate) == (change, rate)


def test_change_of_a_negative_amount_has_the_sign_of_the_change() -> None:
    compared = MoneyComparison.of(Decimal("-5"), Decimal("-10"))

    assert compared.model_dump(by_alias=True) == {
        "value": "-5.00",
        "previous": "-10.00",
        "change": "5.00",
        "changeRate": 0.5,
    }


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("12.5", "12.50"),
        ("12.3450", "12.345"),
        ("0.0001", "0.0001"),
        ("-4.8", "-4.80"),
        ("1E+3", "1000.00"),
        ("1234567890123456789012345678.9012", "1234567890123456789012345678.9012"),
    ],
)
def test_amount_is_written_exactly(amount: str, text: str) -> None:
    assert money_text(Decimal(amount)) == text


def test_sum_and_change_of_huge_amounts_are_not_rounded() -> None:
    huge = Decimal("1234567890123456789012345678.9012")

    total = exact_sum([huge, huge, Decimal("0.0001")])

    assert money_text(total) == "2469135780246913578024691357.8025"
    assert MoneyComparison.of(total, huge).change == Decimal("1234567890123456789012345678.9013")
    assert money_ratio(total, 1) == total


def test_ratio_of_nothing_is_undefined() -> None:
    assert ratio(1, 0) is None
    assert money_ratio(Decimal(1), 0) is None
    assert ratio(1, 3) == 0.333333
    assert money_ratio(Decimal(10), 3) == Decimal("3.3333")
