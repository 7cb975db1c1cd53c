from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from command_line.verification.data_sets import DATA_SETS
from command_line.verification.figures import Figure, Series
from command_line.verify import Verdict, verdict_table, verify

app = typer.Typer()
app.command()(verify)


def printed(verdict: Verdict, capsys: pytest.CaptureFixture[str]) -> str:
    Console(width=150).print(verdict_table(verdict))
    return capsys.readouterr().out


def test_table_shows_where_expected_and_found_part(capsys: pytest.CaptureFixture[str]) -> None:
    days = {f"2019-10-0{day}": day for day in range(1, 8)}
    comparisons = [
        Figure("orders", 107, 107),
        Series("events per day", days, {**days, "2019-10-01": 5, "2019-10-03": 4}),
    ]

    verdict = Verdict(DATA_SETS["otto"], comparisons, {"import": 2.4})

    text = printed(verdict, capsys)
    assert not verdict.agrees
    assert "otto (import 2 s)" in text
    assert "differs: 2019-10-01: 5 instead of 1; 2019-10-03: 4 instead of 3" in text


def test_table_cuts_a_long_list_of_differences(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict(DATA_SETS["otto"], [Series("days", {str(day): 1 for day in range(10)}, {})], {})

    text = printed(verdict, capsys)

    assert "and 7 more" in text


def test_verify_says_when_there_is_no_data(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["--data", str(tmp_path)])

    assert answer.exit_code == 2
    assert "holds no data sets" in answer.output


def test_verify_names_an_unknown_data_set(tmp_path: Path) -> None:
    (tmp_path / "expected").mkdir()

    answer = CliRunner().invoke(app, ["--data", str(tmp_path), "--only", "rees46,nonsense"])

    assert answer.exit_code == 2
    assert "nonsense is none of" in answer.output
