import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet
from typer.testing import CliRunner

from command_line.__main__ import app
from command_line.event_posting import PostingFailed
from command_line.importing import import_rows
from command_line.row_mapping import WrongMapping
from command_line.row_sources import UnreadableFile
from tests.command_line.conftest import Receiver
from tests.conftest import Valkey
from tests.ingest_api.serving import api_settings, nowhere, serving, write_key_for

_MAPPING = {"eventName": "kind", "userId": "user", "timestamp": "at", "properties.revenue:number": "amount"}
_AT = "2026-01-31 08:30:00 UTC"


class _Interrupted(Exception):
    pass


def _write_rows(path: Path, count: int, **changed: dict[int, Any]) -> Path:
    """A file of purchases; `changed` has other values by column and row number."""
    rows = [
        {"kind": "purchase", "user": f"u{number}", "at": _AT, "amount": f"{number}.10"}
        for number in range(1, count + 1)
    ]
    for column, values in changed.items():
        for number, value in values.items():
            rows[number - 1][column] = value
    if ".parquet" in path.suffixes:
        parquet.write_table(pa.Table.from_pylist(rows), path)
        return path
    if ".ndjson" in path.suffixes:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        text = "kind,user,at,amount\n" + "".join(",".join(row.values()) + "\n" for row in rows)
    compress = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
    path.write_bytes(compress(text.encode()))
    return path


def _import(receiver: Receiver, path: Path, **options: Any) -> Any:
    return import_rows(
        path,
        options.pop("mapping", _MAPPING),
        url=receiver.url,
        key=options.pop("key", receiver.key),
        checkpoint=path.with_suffix(".checkpoint"),
        **options,
    )


@pytest.mark.parametrize("name", ["shop.csv", "shop.csv.gz", "shop.ndjson.zst", "shop.parquet"])
def test_import_posts_each_row_of_each_kind_of_file(receiver: Receiver, tmp_path: Path, name: str) -> None:
    path = _write_rows(tmp_path / name, 25)

    report = _import(receiver, path, batch_rows=10)

    assert (report.rows, report.accepted, report.rejected, report.skipped) == (25, 25, 0, 0)
    rows = sorted(receiver.rows(), key=lambda row: int(row["user_id"][1:]))
    assert [row["user_id"] for row in rows] == [f"u{number}" for number in range(1, 26)]
    assert {(row["event_name"], row["occurred_at"], row["source"]) for row in rows} == {
        ("purchase", "2026-01-31T08:30:00Z", "backend")
    }
    assert rows[9]["properties"] == {"revenue": "10.10"}


def test_import_goes_on_where_it_was_interrupted(receiver: Receiver, tmp_path: Path) -> None:
    path = _write_rows(tmp_path / "shop.csv", 200, user={5: "", 150: ""})

    def interrupt(report: Any, share: float) -> None:
        if report.rows >= 50:
            raise _Interrupted

    with pytest.raises(_Interrupted):
        _import(receiver, path, batch_rows=10, concurrency=2, on_progress=interrupt)
    report = _import(receiver, path, batch_rows=10)

    assert (report.rows, report.accepted, report.rejected) == (200, 198, 2)
    assert report.resumed_at == 50
    rows = receiver.rows()
    assert len({row["event_id"] for row in rows}) == 198
    # What was on its way when the import stopped is sent again, with the same ids.
    assert len(rows) <= 198 + 3 * 10
    assert [json.loads(line)["row"] for line in report.rejected_path.read_text().splitlines()] == [5, 150]


def test_import_of_the_same_file_again_makes_the_same_events(receiver: Receiver, tmp_path: Path) -> None:
    first, copy = _write_rows(tmp_path / "shop.csv", 30), _write_rows(tmp_path / "copy.csv", 30)

    reports = [_import(receiver, path, batch_rows=10) for path in (first, first, copy)]

    assert [(report.accepted, report.resumed_at) for report in reports] == [(30, 0)] * 3
    rows = receiver.rows()
    assert (len(rows), len({row["event_id"] for row in rows})) == (90, 30)


def test_import_reports_each_rejected_row_with_its_reason(receiver: Receiver, tmp_path: Path) -> None:
    path = _write_rows(
        tmp_path / "shop.csv", 12, user={2: "", 11: "x" * 201}, at={3: "yesterday", 4: ""}, amount={5: "cheap"}
    )
    with path.open("a") as file:
        file.write("purchase,too,few\n")

    report = _import(receiver, path, batch_rows=10)

    assert (report.rows, report.accepted, report.rejected) == (13, 7, 6)
    rejected = [json.loads(line) for line in report.rejected_path.read_text().splitlines()]
    assert {one["row"]: (one["code"], one["field"]) for one in rejected} == {
        2: ("identity_missing", "userId"),
        3: ("timestamp_invalid", "timestamp"),
        4: ("row_unmappable", "timestamp"),
        5: ("row_unmappable", "properties.revenue:number"),
        11: ("too_long", "userId"),
        13: ("row_malformed", ""),
    }
    [third] = [one for one in rejected if one["row"] == 3]
    assert third["source"] == {"kind": "purchase", "user": "u3", "at": "yesterday", "amount": "3.10"}


def test_import_reports_rejected_rows_when_a_whole_batch_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    path = _write_rows(tmp_path / "shop.csv", 3, user={1: "", 2: "", 3: ""})

    report = _import(receiver, path, batch_rows=2)

    assert (report.accepted, report.rejected) == (0, 3)
    codes = [json.loads(line)["code"] for line in report.rejected_path.read_text().splitlines()]
    assert codes == ["identity_missing"] * 3


def test_import_skips_rows_that_are_no_events(receiver: Receiver, tmp_path: Path) -> None:
    path = _write_rows(tmp_path / "shop.csv", 10, kind={2: "view", 3: ""})

    report = _import(receiver, path, mapping=_MAPPING | {"eventName": "{{ kind if kind == 'purchase' else '' }}"})

    assert (report.rows, report.accepted, report.skipped) == (10, 8, 2)


def test_import_splits_batches_that_are_too_large_for_a_request(receiver: Receiver, tmp_path: Path) -> None:
    path = _write_rows(tmp_path / "shop.ndjson", 300, text=dict.fromkeys(range(1, 301), "x" * 60_000))

    report = _import(receiver, path, mapping=_MAPPING | {"properties.text": "text"}, batch_rows=300)

    assert report.accepted == 300
    assert len({row["event_id"] for row in receiver.rows()}) == 300


def test_import_of_an_empty_table_is_done_at_once(receiver: Receiver, tmp_path: Path) -> None:
    report = _import(receiver, _write_rows(tmp_path / "shop.csv", 0))

    assert report.rows == 0


def test_import_stops_at_once_when_the_key_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    path = _write_rows(tmp_path / "shop.csv", 10)

    with pytest.raises(PostingFailed, match="write_key_invalid"):
        _import(receiver, path, key="wk_wrong")


def test_import_says_that_nothing_answers(tmp_path: Path, receiver: Receiver) -> None:
    path = _write_rows(tmp_path / "shop.csv", 10)

    with pytest.raises(PostingFailed, match="does not take events"):
        import_rows(
            path, _MAPPING, url="http://127.0.0.1:1", key="wk_x", checkpoint=tmp_path / "c", patience_seconds=0.3
        )


def test_import_waits_for_an_api_that_is_away(valkey: Valkey, tmp_path: Path) -> None:
    path = _write_rows(tmp_path / "shop.csv", 10)
    settings, warehouse = api_settings(valkey.url), nowhere()
    key, _ = write_key_for(settings, warehouse.clickhouse_database)
    with ThreadPoolExecutor() as threads:
        importing = threads.submit(
            import_rows, path, _MAPPING, url=f"http://127.0.0.1:{settings.port}", key=key, checkpoint=tmp_path / "c"
        )
        time.sleep(0.5)
        assert not importing.done()

        with serving(settings, warehouse):
            report = importing.result()

    assert report.accepted == 10


def test_import_sends_nothing_when_file_or_mapping_is_wrong(receiver: Receiver, tmp_path: Path) -> None:
    path = _write_rows(tmp_path / "shop.csv", 10)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"x")

    with pytest.raises(WrongMapping):
        _import(receiver, path, mapping={"eventName": "no_such_column"})
    with pytest.raises(UnreadableFile):
        _import(receiver, broken)

    assert receiver.rows() == []


def test_import_command_prints_what_became_of_the_rows(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write_rows(tmp_path / "shop.csv", 1200, user={7: ""})
    pairs = [part for field, value in _MAPPING.items() for part in ("--map", f"{field}={value}")]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANALYTICS_WRITE_KEY", receiver.key)

    done = CliRunner().invoke(app, ["import", str(path), *pairs, "--url", receiver.url])

    assert done.exit_code == 0, done.output
    assert "1,200 rows: 1,199 accepted, 1 rejected, 0 skipped" in done.stdout
    [rejected] = (tmp_path / ".analytics/imports").iterdir()
    assert rejected.name in done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--key", "wk_x", "--map", "eventName=nothing"], "no column nothing"),
        (["--key", "wk_x", "--map", "eventName"], "eventName"),
        ([], "ANALYTICS_WRITE_KEY"),
    ],
)
def test_import_command_says_what_is_wrong_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    path = _write_rows(tmp_path / "shop.csv", 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANALYTICS_WRITE_KEY", raising=False)

    done = CliRunner().invoke(app, ["import", str(path), *arguments])

    assert done.exit_code in (1, 2)
    assert message in done.output
    assert "Traceback" not in done.output
