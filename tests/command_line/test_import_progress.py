from pathlib import Path

from command_line.import_progress import ImportProgress, RejectedRow


def _rejected(row: int) -> RejectedRow:
    return RejectedRow(row, "wrong_type", "userId", "no", {"a": "1"})


def test_progress_is_kept_when_an_import_stops(tmp_path: Path) -> None:
    checkpoint = tmp_path / "deep" / "import.json"
    with ImportProgress(checkpoint, "one") as progress:
        progress.add(10, 7, [_rejected(3)])

    again = ImportProgress(checkpoint, "one").report

    assert (again.rows, again.accepted, again.rejected, again.skipped, again.resumed_at) == (10, 7, 1, 2, 10)
    assert again.rejected_path is not None
    assert len(again.rejected_path.read_text().splitlines()) == 1


def test_progress_begins_anew_for_another_import(tmp_path: Path) -> None:
    checkpoint = tmp_path / "import.json"
    with ImportProgress(checkpoint, "one") as progress:
        progress.add(10, 9, [_rejected(3)])

    other = ImportProgress(checkpoint, "other").report

    assert (other.rows, other.rejected_path) == (0, None)


def test_progress_begins_anew_when_an_import_was_finished(tmp_path: Path) -> None:
    checkpoint = tmp_path / "import.json"
    with ImportProgress(checkpoint, "one") as progress:
        progress.add(10, 10, [])
    progress.finish()

    assert ImportProgress(checkpoint, "one").report.rows == 0


def test_progress_begins_anew_when_its_file_is_broken(tmp_path: Path) -> None:
    checkpoint = tmp_path / "import.json"
    checkpoint.write_text('{"rows":')

    assert ImportProgress(checkpoint, "one").report.rows == 0


def test_rejected_rows_after_the_last_checkpoint_are_not_reported_twice(tmp_path: Path) -> None:
    checkpoint = tmp_path / "import.json"
    with ImportProgress(checkpoint, "one") as progress:
        progress.add(10, 9, [_rejected(3)])
    rejected_path = progress.report.rejected_path
    assert rejected_path is not None
    with rejected_path.open("a") as file:
        file.write('{"row":12}\n{"row":')  # written, then killed before the next checkpoint

    with ImportProgress(checkpoint, "one") as resumed:
        resumed.add(10, 9, [_rejected(12)])

    assert [line[:9] for line in rejected_path.read_text().splitlines()] == ['{"row":3,', '{"row":12']
