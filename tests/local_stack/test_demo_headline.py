from decimal import Decimal

import pytest
from rich.console import Console

from local_stack.demo_headline import Headline, NumbersDiffer, number_text, print_headlines

EQUAL, DIFFERENT = Headline("Events", 12_000, 12_000), Headline("Orders", 12, 13)


def test_headlines_fail_when_the_marts_differ(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()

    with pytest.raises(NumbersDiffer, match="differ from what was sent: Orders"):
        print_headlines([EQUAL, DIFFERENT], "The shop", console, is_alone=True)

    assert "12,000" in capsys.readouterr().out


def test_headlines_may_differ_when_others_send_events_too(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()

    print_headlines([EQUAL, DIFFERENT], "The shop", console, is_alone=False)

    assert "events of other senders" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "text"), [(1234, "1,234"), (Decimal("1234.5"), "1,234.50"), (0.03456, "3.46%"), (0, "0")]
)
def test_numbers_are_written_for_people(number: int | Decimal | float, text: str) -> None:
    written = number_text(number)

    assert written == text
