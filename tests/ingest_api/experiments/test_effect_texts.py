"""Effects and p-values in words."""

import pytest

from ingest_api.experiments.effect_texts import effect_text, p_text


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(0.03126, "0.0313"), (1, "1"), (1.5e-9, "1.5e-09"), (9e-301, "<1e-300"), (0.0, "<1e-300"), (1e-300, "1e-300")],
)
def test_p_value_is_never_nothing(p_value: float, text: str) -> None:
    assert p_text(p_value) == text


@pytest.mark.parametrize(
    ("lift", "interval", "text"),
    [
        (0.041, (0.012, 0.07), "+4.1 % (+1.2 % to +7.0 %)"),
        (-0.041, (-0.07, -0.012), "-4.1 % (-7.0 % to -1.2 %)"),
        (0.0, (-0.01, 0.01), "0.0 % (-1.0 % to +1.0 %)"),
        # What excludes nothing must not look as if it did, and the other way round.
        (0.012, (0.0002, 0.03), "+1.20 % (+0.02 % to +3.00 %)"),
        (0.0000001, (-0.02, 0.02), "0.0000 % (-2.0000 % to +2.0000 %)"),
        (25.5, (10, 40), "+2,550.0 % (+1,000.0 % to +4,000.0 %)"),
    ],
)
def test_lift_is_a_percentage_with_its_interval(lift: float, interval: tuple[float, float], text: str) -> None:
    assert effect_text(lift, interval, 1.0, (0.5, 1.5), is_rate=True) == text


def test_without_an_interval_of_the_lift_the_difference_is_told() -> None:
    rate = effect_text(0.5, None, 0.021, (0.003, 0.039), is_rate=True)
    amount = effect_text(None, None, -1234.5, (-2000, -469), is_rate=False)
    bare = effect_text(None, None, 3.0, None, is_rate=False)

    assert rate == "+2.1 percentage points (+0.3 percentage points to +3.9 percentage points)"
    assert amount == "-1,234.5 (-2,000.0 to -469.0)"
    assert bare == "+3.0"
    assert effect_text(None, None, None, None, is_rate=True) == "no estimate"
