from decimal import Decimal

import pytest

from command_line.verification.figures import Figure, Number, Series, agree


@pytest.mark.parametrize(
    ("expected", "found"),
    [(3, 3), (51.0, 51), (0.368512865242041, 0.36851286524204), (10655622.484, Decimal("10655622.4840")), (0.0, 0)],
)
def test_numbers_agree_whatever_their_type(expected: Number, found: Number) -> None:
    agreement = agree(expected, found)

    assert agreement


@pytest.mark.parametrize(
    ("expected", "found"),
    [(3, 4), (32503.33, Decimal("32503.34")), (0.5, 0.5000001), (10655622.484, Decimal("10655622.48"))],
)
def test_numbers_differ_in_the_last_cent(expected: Number, found: Number) -> None:
    agreement = agree(expected, found)

    assert not agreement


def test_figure_says_what_was_found_instead() -> None:
    figure = Figure("orders", 107, 106)

    differences = figure.differences

    assert differences == ["106 instead of 107"]


def test_series_names_each_label_that_differs() -> None:
    series = Series(
        "orders per day", {"2019-10-01": 5, "2019-10-02": 7}, {"2019-10-02": 8, "2019-10-03": 1, "2019-10-04": 0}
    )

    differences = series.differences

    assert differences == ["2019-10-01: 0 instead of 5", "2019-10-02: 8 instead of 7", "2019-10-03: 1 instead of 0"]


def test_series_lists_few_values_and_sums_up_many() -> None:
    few = Series("funnel", {"view": 2288, "cart": 51}, {"cart": 51, "view": 2288})
    many = Series("days", {str(day): 1.5 for day in range(10)}, {str(day): 1.5 for day in range(12)} | {"empty": 0})

    texts = [few.expected_text, few.found_text, many.expected_text, many.found_text]

    assert texts == ["2,288, 51", "2,288, 51", "10 values, sum 15", "12 values, sum 18"]
